#include <grpc/health/v1/health.pb.h>

#include "grpc/parse_message.hpp"
#include "grpc/services.hpp"
#include "penstock/grpc/local_services.hpp"

namespace penstock::grpc {

std::optional<Error> AnswerHealth(std::string_view request, const GatewayFacts& facts, bool watch, std::string& out) {
  namespace health = ::grpc::health::v1;
  health::HealthCheckRequest asked;
  if (!ParseMessage(request, asked)) {
    return DownstreamError(ErrorCode::kBadRequest, "the message is no grpc.health.v1.HealthCheckRequest");
  }
  const bool known = asked.service().empty() || IsService(asked.service());
  if (!known && !watch) return DownstreamError(ErrorCode::kNotFound, "no such service");
  health::HealthCheckResponse answer;
  if (!known) {
    answer.set_status(health::HealthCheckResponse::SERVICE_UNKNOWN);
  } else {
    answer.set_status(facts.serving ? health::HealthCheckResponse::SERVING : health::HealthCheckResponse::NOT_SERVING);
  }
  answer.AppendToString(&out);
  return std::nullopt;
}

}  // namespace penstock::grpc
