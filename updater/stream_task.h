// A file over an MQTT stream, through the agent, into TO.part.
//
// Purpose:  for what cannot be had from a URL. What is in TO.part stays: the beginning of the file,
//           from a stream or from a URL; each goes on where the other was. That it is the file that
//           was meant, is judged by `--fetch` afterwards.
// Threads:  one. Blocks for the disk, for at most kStreamAskMax bytes at a time.
// Errors:   a StepOutcome with words.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "document.h"
#include "performer.h"

namespace holdfast::updater {

struct StreamOrder {
  Source source;
  std::filesystem::path to;
  std::uint64_t size = 0;
  std::uint64_t bytes_per_second = 0;  ///< 0: as fast as it goes.
  Duration timeout{};
};

/// `whole` becomes true if it was got from its beginning at one go. `around` and `random` must
/// outlive the task.
[[nodiscard]] std::unique_ptr<Task> make_stream_task(const StreamOrder& order,
                                                     const Surroundings& around,
                                                     env::Random& random, BootTime now,
                                                     std::shared_ptr<bool> whole);

}  // namespace holdfast::updater
