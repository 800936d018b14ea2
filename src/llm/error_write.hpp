#pragma once

#include <string>
#include <string_view>

#include "penstock/llm/family.hpp"

namespace penstock::llm {

/// An error's parts as JSON values, quotes and escapes included; empty: null.
struct ErrorJson {
  std::string message;
  std::string type;
  std::string code;
  std::string param;
  std::string request_id;
};

/// Appends the family's error object.
void WriteErrorJson(std::string& out, Family family, const ErrorJson& error);

}  // namespace penstock::llm
