#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "penstock/base/error.hpp"
#include "penstock/grpc/method.hpp"
#include "penstock/grpc/translation.hpp"
#include "penstock/llm/json_parser.hpp"

/// ModelInfer and ModelStreamInfer: what translation.hpp says, for these.
namespace penstock::grpc::kserve {

std::optional<Error> WriteBody(const Method& method, std::string_view message, std::string& json, ReplyFacts& facts);
bool Whole(const Method& method, const ReplyFacts& facts, std::string_view json, llm::JsonParser& parser,
           std::string& out);
bool Event(const Method& method, const ReplyFacts& facts, std::string_view data, llm::JsonParser& parser,
           std::string& out);
bool Finish(const Method& method, const ReplyFacts& facts, std::string& out);
bool Failure(const Method& method, const ReplyFacts& facts, std::string_view text, std::string& out);

}  // namespace penstock::grpc::kserve
