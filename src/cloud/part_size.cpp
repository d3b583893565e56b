#include "cloud/part_size.hpp"

#include <fmt/format.h>

#include "aws/shared_config.hpp"
#include "store/part_size.hpp"

namespace bale::cloud {

std::optional<ByteCount> part_size_of_profile(os::World& world, const std::string& profile) {
  const aws::SharedConfig config = aws::SharedConfig::load(world.files, world.environment);
  const std::string name = aws::choose_profile(profile, world.environment).name;
  const auto text = config.get(name, "s3.multipart_chunksize");
  if (!text) return std::nullopt;
  return store::parse_part_size(*text, fmt::format("multipart_chunksize of profile {}", name));
}

}  // namespace bale::cloud
