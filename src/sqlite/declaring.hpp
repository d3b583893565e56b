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
  /// Aligned as a pointer: mold 1.10 gives a program whose thread-local memory has a smaller alignment a read-only
  /// segment that begins one page too early when its code ends within 7 bytes of a page. It then cannot be started.
  alignas(void*) static inline thread_local bool under_way_ = false;
};

}  // namespace bale::sqlite
