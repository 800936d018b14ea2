#pragma once

#include <kserve/grpc_service.pb.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::grpc::kserve {

/// Elements of one tensor. Those served hold one value, or one for each text of a batch.
inline constexpr std::size_t kElementsMax = 1024;

enum class ScalarType : std::uint8_t { kBool, kInteger, kNumber, kText };

/// An element, or a request's parameter.
struct Scalar {
  ScalarType type;
  std::string_view text;  ///< kText: borrowed from the message; any bytes
  std::string json;       ///< otherwise: its JSON text

  static Scalar Bool(bool value) { return {ScalarType::kBool, {}, value ? "true" : "false"}; }
  static Scalar Text(std::string_view text) { return {ScalarType::kText, text, {}}; }
  /// Nothing to write when `value` is not finite: `json` is empty.
  static Scalar Number(double value);
  static Scalar Number(float value);  ///< as few digits as tell it from other floats
  template <class Integer>
  static Scalar Whole(Integer value) {
    return {ScalarType::kInteger, {}, std::to_string(value)};
  }
  friend bool operator==(const Scalar&, const Scalar&) = default;
};

/// Reads a tensor of at most two dimensions into `into`, row by row, from `raw` (null: from its contents). Returns what
/// is wrong with it, a literal, or null: size, shape and datatype agree, and there is at least one element. Linear.
const char* ReadTensor(const inference::ModelInferRequest::InferInputTensor& tensor, const std::string* raw,
                       std::vector<Scalar>& into);

}  // namespace penstock::grpc::kserve
