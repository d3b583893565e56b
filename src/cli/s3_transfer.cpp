#include "cli/s3_transfer.hpp"

#include "cloud/part_size.hpp"
#include "store/part_size.hpp"

namespace bale::cli {

ByteCount chosen_part_size(Context& context, const std::string& option) {
  if (!option.empty()) return store::parse_part_size(option, "--part-size");
  if (!context.options().local.empty()) return part_bytes;
  return cloud::part_size_of_profile(context.world(), context.options().profile).value_or(part_bytes);
}

transfer::MoveTools move_tools(Context& context, flow::Progress& progress) {
  return {context.store(context.region()), context.pools().connections, context.budget(), context.world(), progress};
}

}  // namespace bale::cli
