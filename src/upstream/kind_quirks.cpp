#include "penstock/upstream/kind_quirks.hpp"

namespace penstock::upstream {
namespace {

constexpr Duration kBelowFiveSeconds =
    std::chrono::seconds(4);  // uvicorn and llama-server close idle connections after 5 s

constexpr KindQuirks kVllm{.idle_timeout = kBelowFiveSeconds,
                           .load_metrics = {"vllm:num_requests_running", "vllm:num_requests_waiting"}};
constexpr KindQuirks kSglang{.idle_timeout = kBelowFiveSeconds,
                             .load_metrics = {"sglang:num_running_reqs", "sglang:num_queue_reqs"}};
constexpr KindQuirks kLlamacpp{.idle_timeout = kBelowFiveSeconds, .reuse_after_chunked = false};
constexpr KindQuirks kTgi{.load_metrics = {"tgi_batch_current_size", "tgi_queue_size"}};
constexpr KindQuirks kTriton{.health_path = "/health/ready", .takes_stream_options = false};
constexpr KindQuirks kOllama{.health_path = "/"};
constexpr KindQuirks kOpenai{.health_path_known = false};

}  // namespace

const KindQuirks& QuirksOf(config::EndpointKind kind) noexcept {
  using config::EndpointKind;
  switch (kind) {
    case EndpointKind::kVllm: return kVllm;
    case EndpointKind::kSglang: return kSglang;
    case EndpointKind::kLlamacpp: return kLlamacpp;
    case EndpointKind::kTgi: return kTgi;
    case EndpointKind::kTriton: return kTriton;
    case EndpointKind::kOllama: return kOllama;
    case EndpointKind::kAuto:
    case EndpointKind::kOpenai: break;
  }
  return kOpenai;
}

}  // namespace penstock::upstream
