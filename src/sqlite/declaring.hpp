// A table of the program is declared to SQLite as if by CREATE TABLE, which a foreign query may not do by itself.
#pragma once

namespace bale::sqlite {

/// While it lasts, this thread declares a table.
class Declaring {
 public:
  Declaring() { under_way_ = true; }
  ~Declaring() { under_way_ = false; }
  Declaring(const Declaring&) = delete;
  Declaring& operator=(const Declaring&) = delete;
  static bool is_under_way() noexcept { return under_way_; }

 private:
  static inline thread_local bool under_way_ = false;
};

}  // namespace bale::sqlite
