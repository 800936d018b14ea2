#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "penstock/llm/json_parser.hpp"
#include "proxy/grpc/part.hpp"

namespace penstock::proxy {

/// Are the messages of one answer good for every request with the same key? KServe's echo what is the request's own.
bool HasCommonMessages(const GrpcPart& part) noexcept;

/// A stored answer (its body, in pieces) as gRPC messages with their prefixes. Nothing: it cannot be said so.
std::optional<std::string> MessagesOf(const GrpcPart& part, bool events, std::span<const std::string_view> body,
                                      llm::JsonParser& json);

}  // namespace penstock::proxy
