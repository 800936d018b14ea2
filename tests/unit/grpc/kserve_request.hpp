#pragma once

#include <kserve/grpc_service.pb.h>

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string>
#include <string_view>

#include "penstock/grpc/method.hpp"

namespace penstock::grpc {

inline constexpr Method kInfer{"/inference.GRPCInferenceService/ModelInfer", Service::kKserve,
                               llm::Family::kCompletions, false, false};
inline constexpr Method kStreamInfer{"/inference.GRPCInferenceService/ModelStreamInfer", Service::kKserve,
                                     llm::Family::kCompletions, true, true};

template <class T>
std::string Raw(T value) {
  std::string raw(sizeof(T), '\0');
  std::memcpy(raw.data(), &value, sizeof(T));
  return raw;
}
/// BYTES in the raw form.
inline std::string RawTexts(std::initializer_list<std::string_view> texts) {
  std::string raw;
  for (const std::string_view text : texts) (raw += Raw(static_cast<std::uint32_t>(text.size()))) += text;
  return raw;
}

/// Owned by one Worker. A request as tritonclient puts it together: every tensor in the raw form.
class InferRequest {
 public:
  explicit InferRequest(std::string_view model = "m") { request.set_model_name(std::string(model)); }

  InferRequest& Tensor(std::string_view name, std::string_view type, std::initializer_list<std::int64_t> shape,
                       std::string raw) {
    Header(name, type, shape);
    request.add_raw_input_contents(std::move(raw));
    return *this;
  }
  InferRequest& Text(std::string_view name, std::string_view text) {
    return Tensor(name, "BYTES", {1}, RawTexts({text}));
  }
  InferRequest& Bool(std::string_view name, bool value) { return Tensor(name, "BOOL", {1}, Raw<char>(value ? 1 : 0)); }
  inference::ModelInferRequest::InferInputTensor& Header(std::string_view name, std::string_view type,
                                                         std::initializer_list<std::int64_t> shape) {
    auto& tensor = *request.add_inputs();
    tensor.set_name(std::string(name));
    tensor.set_datatype(std::string(type));
    for (const std::int64_t size : shape) tensor.add_shape(size);
    return tensor;
  }
  inference::InferParameter& Parameter(std::string_view name) {
    return (*request.mutable_parameters())[std::string(name)];
  }
  std::string Bytes() const { return request.SerializeAsString(); }

  inference::ModelInferRequest request;
};

}  // namespace penstock::grpc
