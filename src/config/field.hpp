#pragma once

#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "config/formats.hpp"
#include "config/type.hpp"

namespace penstock::config {

/// The table of a struct; each is defined beside the others of its header, in a tables_*.cpp.
template <class T>
const SectionType& SectionOf();

namespace internal {

template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};

template <class Format>
std::string ReadScalar(const Scalar& scalar, const Rules& rules, const ReadContext& context, void* value) {
  typename Format::Value read{};
  std::string problem;
  if constexpr (requires { Format::Read(scalar, context, read); }) {
    problem = Format::Read(scalar, context, read);
  } else {
    problem = Format::Read(scalar, read);
  }
  if (!problem.empty()) return problem;
  if constexpr (requires { Format::Measure(read); }) {
    problem = CheckBounds(Format::Measure(read), rules, Format::kBound);
    if (!problem.empty()) return problem;
  }
  if (rules.text != nullptr && !scalar.text.empty() && !rules.text->matches(scalar.text)) return rules.text->message;
  *static_cast<typename Format::Value*>(value) = std::move(read);
  return {};
}

template <class Format>
Spelling SpellScalar(const void* value) {
  return Format::Spell(*static_cast<const typename Format::Value*>(value));
}

template <class Format>
bool EqualScalars(const void* a, const void* b) {
  using Value = typename Format::Value;
  return *static_cast<const Value*>(a) == *static_cast<const Value*>(b);
}

template <class Format>
const ScalarType& ScalarOf() {
  static const ScalarType kType = [] {
    ScalarType scalar{Format::Describe, ReadScalar<Format>, SpellScalar<Format>, EqualScalars<Format>, nullptr};
    if constexpr (requires { Format::kBound; }) scalar.bound = &Format::kBound;
    return scalar;
  }();
  return kType;
}

template <class T, class Format>
Type TypeOf();

template <class T, class Format>
const ListType& ListOf() {
  using List = std::vector<T>;
  static const ListType kType = {
      TypeOf<T, Format>(), [](const void* list) { return static_cast<const List*>(list)->size(); },
      [](const void* list, std::size_t i) { return static_cast<const void*>(&(*static_cast<const List*>(list))[i]); },
      [](void* list) { return static_cast<void*>(&static_cast<List*>(list)->emplace_back()); },
      [](void* list) { static_cast<List*>(list)->clear(); }};
  return kType;
}

template <class T, class Format>
Type TypeOf() {
  Type type;
  if constexpr (IsVector<T>::value) {
    type.list = &ListOf<typename T::value_type, Format>();
  } else if constexpr (!std::is_void_v<Format>) {
    type.scalar = &ScalarOf<Format>();
  } else if constexpr (requires { typename FormatOf<T>::type; }) {
    type.scalar = &ScalarOf<typename FormatOf<T>::type>();
  } else {
    type.section = &SectionOf<T>();
  }
  return type;
}

template <auto Member>
struct MemberTraits;
template <class Owner, class T, T Owner::*Member>
struct MemberTraits<Member> {
  using Value = T;
  static void* Get(void* section) { return &(static_cast<Owner*>(section)->*Member); }
};

}  // namespace internal

/// A row: Key<&Drain::delay>("delay", "what it does", Between(...)). The member's type says how the value is
/// spelled; a std::uint64_t says it itself: Key<&Limits::uri, SizeFormat>(...).
template <auto Member, class Format = void>
Field Key(std::string_view name, std::string_view help, const Rules& rules = {}) {
  using Traits = internal::MemberTraits<Member>;
  return {name, help, rules, internal::TypeOf<typename Traits::Value, Format>(), Traits::Get};
}

template <class T>
const SectionType& MakeSection(std::span<const Field> fields) {
  static const T kDefaults{};
  static const SectionType kSection{fields, &kDefaults};
  return kSection;
}

}  // namespace penstock::config
