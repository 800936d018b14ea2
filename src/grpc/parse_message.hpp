#pragma once

#include <google/protobuf/message.h>

#include <string_view>

namespace penstock::grpc {

/// Reads `bytes` into the empty message `into`. False: malformed, a string that is not UTF-8, nested deeper than
/// kMessageDepthMax, or a field that its type knows with another wire type (FAULTS Q-27; protobuf itself takes such a
/// field for an unknown one). Unknown fields are passed over. Linear.
bool ParseMessage(std::string_view bytes, google::protobuf::Message& into);

/// Fields of a message, those inside its fields 2, 4 and 5 (in KServe's requests: parameters, inputs and their
/// contents) counted too. Each becomes an object of a hundred bytes and more from two on the wire, so who parses bounds
/// them.
inline constexpr std::size_t kPartsMax = 4096;
bool HasFewParts(std::string_view bytes);

}  // namespace penstock::grpc
