#pragma once

#include <optional>

#include "penstock/grpc/method.hpp"
#include "penstock/grpc/status.hpp"
#include "penstock/grpc/translation.hpp"

namespace penstock::proxy {

/// Owned by one Worker. What makes a request a gRPC one: until ParseBody its body is a protobuf message.
struct GrpcPart {
  const grpc::Method* method = nullptr;  ///< null: not served
  grpc::ReplyFacts facts;
  std::size_t gathered = 0;            ///< bytes held of the request's message, which is not complete
  bool messages = false;               ///< what is answered are gRPC messages already, prefixes included
  std::optional<grpc::Status> status;  ///< what the client hears, whatever the pipeline answers
};

/// Of every gRPC answer.
inline constexpr std::string_view kGrpcType = "application/grpc";

}  // namespace penstock::proxy
