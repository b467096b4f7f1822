#include "lab/mqtt/stage.h"

namespace holdfast::lab::mqtt {

void Stage::on_garbage(BootTime /*now*/, Side /*from*/, std::string_view /*bytes*/, Wishes& out) {
  out.close(Side::device, Ending::after_sending);
  out.close(Side::broker, Ending::after_sending);
}

void Stage::on_closed(BootTime /*now*/, Side side, Wishes& out) {
  out.close(other(side), Ending::after_sending);
}

void Stage::on_wake(BootTime /*now*/, Wishes& /*out*/) {}

}  // namespace holdfast::lab::mqtt
