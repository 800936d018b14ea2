#pragma once

#include <string>

#include "grpc/plan.hpp"
#include "penstock/llm/json_value.hpp"

namespace penstock::grpc {

/// Appends what the object at `root` is as a message of `plan`. Members that the message does not know, and those of
/// another type than theirs, are left out; null is absent, but keeps its place in a list of messages (empty) and of
/// reals (NaN). `google.protobuf.Struct` is not read. Allocates nothing but room in `out`.
void WriteMessage(const MessagePlan& plan, llm::json::Cursor root, std::string& out);

}  // namespace penstock::grpc
