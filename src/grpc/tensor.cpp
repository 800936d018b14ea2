#include "grpc/tensor.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <cstring>

namespace penstock::grpc::kserve {
namespace {

constexpr const char* kWrongSize = "the tensor's contents do not fit its shape and datatype";
constexpr int kDimensionsMax = 2;  // a batch of values

template <class Float>
Scalar NumberOf(Float value) {
  Scalar scalar{ScalarType::kNumber, {}, {}};
  if (!std::isfinite(value)) return scalar;
  std::array<char, 32> digits;  // the longest double has 24 characters
  const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  scalar.json.assign(digits.data(), end);
  return scalar;
}

Scalar Make(bool value) { return Scalar::Bool(value); }
Scalar Make(float value) { return Scalar::Number(value); }
Scalar Make(double value) { return Scalar::Number(value); }
template <class Integer>
Scalar Make(Integer value) {
  return Scalar::Whole(value);
}

/// Elements of `Element`, each `Wire` bytes of the raw form, least significant first, as this machine has them.
template <class Element, class Wire = Element, class Contents>
const char* ReadElements(const Contents& contents, const std::string* raw, std::size_t count,
                         std::vector<Scalar>& into) {
  static_assert(std::endian::native == std::endian::little);
  if (raw == nullptr) {
    if (static_cast<std::size_t>(contents.size()) != count) return kWrongSize;
    for (const auto value : contents) {
      const auto element = static_cast<Element>(value);
      if (std::is_integral_v<Element> && element != value) return "an element is out of its datatype's range";
      into.push_back(Make(element));
    }
    return nullptr;
  }
  if (raw->size() != count * sizeof(Wire)) return kWrongSize;
  for (std::size_t i = 0; i < count; ++i) {
    Wire wire;
    std::memcpy(&wire, raw->data() + i * sizeof(Wire), sizeof(Wire));
    into.push_back(Make(static_cast<Element>(wire)));
  }
  return nullptr;
}

const char* ReadBytes(const google::protobuf::RepeatedPtrField<std::string>& contents, const std::string* raw,
                      std::size_t count, std::vector<Scalar>& into) {
  if (raw == nullptr) {
    if (static_cast<std::size_t>(contents.size()) != count) return kWrongSize;
    for (const std::string& element : contents) into.push_back(Scalar::Text(element));
    return nullptr;
  }
  std::string_view rest = *raw;
  for (; count != 0; --count) {
    std::uint32_t size;
    if (rest.size() < sizeof(size)) return kWrongSize;
    std::memcpy(&size, rest.data(), sizeof(size));
    rest.remove_prefix(sizeof(size));
    if (rest.size() < size) return kWrongSize;
    into.push_back(Scalar::Text(rest.substr(0, size)));
    rest.remove_prefix(size);
  }
  return rest.empty() ? nullptr : kWrongSize;
}

/// 0: none, or more than kElementsMax.
std::size_t CountElements(const google::protobuf::RepeatedField<std::int64_t>& shape) {
  if (shape.size() > kDimensionsMax) return 0;
  std::size_t count = 1;
  for (const std::int64_t size : shape) {
    if (size < 1 || size > static_cast<std::int64_t>(kElementsMax)) return 0;
    count *= static_cast<std::size_t>(size);
  }
  return count > kElementsMax ? 0 : count;
}

}  // namespace

Scalar Scalar::Number(double value) { return NumberOf(value); }
Scalar Scalar::Number(float value) { return NumberOf(value); }

const char* ReadTensor(const inference::ModelInferRequest::InferInputTensor& tensor, const std::string* raw,
                       std::vector<Scalar>& into) {
  into.clear();
  const std::size_t count = CountElements(tensor.shape());
  if (count == 0) return "the tensor's shape is not served";
  const inference::InferTensorContents& contents = tensor.contents();
  const std::string& type = tensor.datatype();
  if (type == "BYTES") return ReadBytes(contents.bytes_contents(), raw, count, into);
  if (type == "BOOL") return ReadElements<bool, std::uint8_t>(contents.bool_contents(), raw, count, into);
  if (type == "INT8") return ReadElements<std::int8_t>(contents.int_contents(), raw, count, into);
  if (type == "INT16") return ReadElements<std::int16_t>(contents.int_contents(), raw, count, into);
  if (type == "INT32") return ReadElements<std::int32_t>(contents.int_contents(), raw, count, into);
  if (type == "INT64") return ReadElements<std::int64_t>(contents.int64_contents(), raw, count, into);
  if (type == "UINT8") return ReadElements<std::uint8_t>(contents.uint_contents(), raw, count, into);
  if (type == "UINT16") return ReadElements<std::uint16_t>(contents.uint_contents(), raw, count, into);
  if (type == "UINT32") return ReadElements<std::uint32_t>(contents.uint_contents(), raw, count, into);
  if (type == "UINT64") return ReadElements<std::uint64_t>(contents.uint64_contents(), raw, count, into);
  if (type == "FP32") return ReadElements<float>(contents.fp32_contents(), raw, count, into);
  if (type == "FP64") return ReadElements<double>(contents.fp64_contents(), raw, count, into);
  return "the tensor's datatype is not served";
}

}  // namespace penstock::grpc::kserve
