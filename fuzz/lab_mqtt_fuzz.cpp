// Any bytes as a stream of MQTT frames: what can be read is written and read again as the same.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "lab/mqtt/packet.h"

using namespace holdfast::lab::mqtt;  // NOLINT: a fuzz target's only file

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Version version = data[0] % 2 == 0 ? Version::v5 : Version::v311;
  Framer framer(4096);
  // In two pieces, so that frames are met half.
  const std::string_view stream(reinterpret_cast<const char*>(data + 1), size - 1);
  for (const std::string_view piece :
       {stream.substr(0, size / 2),
        stream.substr(size / 2 < stream.size() ? size / 2 : stream.size())}) {
    framer.feed(piece);
    for (;;) {
      const auto frame = framer.next();
      if (!frame) return 0;
      if (!*frame) break;
      const auto packet = decode(version, **frame);
      if (!packet) continue;
      const auto* connect = std::get_if<Connect>(&*packet);
      const auto again =
          decode(version, encode(connect != nullptr ? connect->version : version, *packet));
      HF_CHECK(again.ok());
      HF_CHECK(*again == *packet);
    }
  }
  return 0;
}
