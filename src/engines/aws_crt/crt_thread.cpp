#include "engines/aws_crt/crt_thread.h"

#include <aws/common/error.h>
#include <aws/common/task_scheduler.h>
#include <aws/io/channel_bootstrap.h>
#include <aws/io/event_loop.h>
#include <aws/io/host_resolver.h>
#include <aws/mqtt/mqtt.h>

#include <string>
#include <utility>

namespace holdfast::engines {

namespace {

/// One proof that the thread owes; it takes itself away.
struct ProofTask {
  explicit ProofTask(env::Proofs counted) : proofs(std::move(counted)) {
    aws_task_init(&task, &ProofTask::run, this, "holdfast_proof");
  }
  // Also when the thread ends with it: then nobody asks any more.
  static void run(aws_task* /*task*/, void* self, aws_task_status /*status*/) {
    const std::unique_ptr<ProofTask> owned(static_cast<ProofTask*>(self));
    ++*owned->proofs;
  }
  aws_task task{};
  env::Proofs proofs;
};

}  // namespace

CrtThread::CrtThread() {
  // Once per process and never undone: a program that uses the SDK besides us shares it.
  static const bool once = [] {
    aws_mqtt_library_init(aws_default_allocator());
    return true;
  }();
  static_cast<void>(once);
}

CrtThread::~CrtThread() {
  aws_client_bootstrap_release(bootstrap_);
  aws_host_resolver_release(resolver_);
  aws_event_loop_group_release(group_);
}

void CrtThread::prove(const env::Proofs& proofs) {
  if (group_ == nullptr) {
    ++*proofs;
    return;
  }
  auto proof = std::make_unique<ProofTask>(proofs);
  aws_event_loop* loop = aws_event_loop_group_get_next_loop(group_);  // the only one
  aws_event_loop_schedule_task_now(loop, &proof.release()->task);
}

Result<aws_client_bootstrap*> CrtThread::bootstrap() {
  aws_allocator* allocator = aws_default_allocator();
  const auto failed = [] {
    return Error{Errc::io, std::string("AWS CRT: ") + aws_error_str(aws_last_error()), 0};
  };
  if (group_ == nullptr) {
    aws_event_loop_group_options options{};
    options.loop_count = 1;
    group_ = aws_event_loop_group_new(allocator, &options);
    if (group_ == nullptr) return failed();
  }
  if (resolver_ == nullptr) {
    aws_host_resolver_default_options options{};
    options.el_group = group_;
    options.max_entries = 1;
    resolver_ = aws_host_resolver_new_default(allocator, &options);
    if (resolver_ == nullptr) return failed();
  }
  if (bootstrap_ == nullptr) {
    aws_client_bootstrap_options options{};
    options.event_loop_group = group_;
    options.host_resolver = resolver_;
    bootstrap_ = aws_client_bootstrap_new(allocator, &options);
    if (bootstrap_ == nullptr) return failed();
  }
  return bootstrap_;
}

}  // namespace holdfast::engines
