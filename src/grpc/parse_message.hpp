#pragma once

#include <google/protobuf/message.h>

#include <string_view>

namespace penstock::grpc {

/// Reads `bytes` into the empty message `into`. False: malformed, a string that is not UTF-8, nested deeper than
/// kMessageDepthMax, or a field that its type knows with another wire type (FAULTS Q-27; protobuf itself takes such a
/// field for an unknown one). Unknown fields are passed over. Linear.
bool ParseMessage(std::string_view bytes, google::protobuf::Message& into);

}  // namespace penstock::grpc
