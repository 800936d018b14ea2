#include "penstock/http/head.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "http/header_table.hpp"
#include "penstock/base/assert.hpp"

namespace penstock::http {
HeaderId LookupHeader(std::string_view name) noexcept {
  return header_table::Lookup(name.data(), name.size(), [name](const header_table::Slot& slot) {
    return std::memcmp(name.data(), slot.name, name.size()) == 0;
  });
}

std::string_view HeaderName(HeaderId id) noexcept {
  static_assert(
      [] {
        for (std::size_t i = 0; i < std::size(header_table::kKnown); ++i) {
          if (header_table::kKnown[i].id != static_cast<HeaderId>(i + 1)) return false;
        }
        return std::size(header_table::kKnown) + 1 == kHeaderIds;
      }(),
      "header_table::kKnown is in the order of HeaderId");
  return id == HeaderId::kOther ? std::string_view{} : header_table::kKnown[static_cast<std::size_t>(id) - 1].name;
}

Method LookupMethod(std::string_view text) noexcept {
  if (text == "POST") return Method::kPost;
  if (text == "GET") return Method::kGet;
  if (text == "HEAD") return Method::kHead;
  if (text == "PUT") return Method::kPut;
  if (text == "DELETE") return Method::kDelete;
  if (text == "CONNECT") return Method::kConnect;
  if (text == "OPTIONS") return Method::kOptions;
  if (text == "TRACE") return Method::kTrace;
  if (text == "PATCH") return Method::kPatch;
  return Method::kOther;
}

void Head::Clear() noexcept {
  version = Version::kHttp11;
  method = Method::kGet;
  status = 0;
  framing = Framing::kNone;
  content_length.reset();
  bytes_size_ = 0;
  fields_.clear();
  method_text_ = scheme_ = authority_ = target_ = Slice{};
  list_bytes_ = 0;
  std::memset(first_, 0, sizeof first_);
}

std::unique_ptr<char[]> Head::Grow(std::size_t more) {
  constexpr std::size_t kFirstBytes = 2048;
  const std::size_t needed = bytes_size_ + more;
  PENSTOCK_ASSERT(needed <= UINT32_MAX / 2);  // every reader bounds its message far below
  const std::size_t capacity = std::max({needed, std::size_t{bytes_capacity_} * 2, kFirstBytes});
  std::unique_ptr<char[]> replaced(new char[capacity + kSlack]);
  if (bytes_size_ != 0) std::memcpy(replaced.get(), bytes_.get(), bytes_size_);
  std::swap(bytes_, replaced);
  bytes_capacity_ = static_cast<std::uint32_t>(capacity);
  return replaced;
}

void Head::AppendRaw(std::string_view text) {
  const std::unique_ptr<char[]> replaced = Reserve(text.size());
  if (!text.empty()) std::memcpy(bytes_.get() + bytes_size_, text.data(), text.size());
  bytes_size_ += static_cast<std::uint32_t>(text.size());
}

Head::Slice Head::Store(std::string_view text) {
  const Slice slice{bytes_size_, static_cast<std::uint32_t>(text.size())};
  AppendRaw(text);
  return slice;
}

void Head::set_target(std::string_view path, std::string_view prefix) {
  target_ = Store(prefix);
  target_.size += Store(path).size;
}

void Head::Add(std::string_view name, std::string_view value, HeaderId id) {
  const std::unique_ptr<char[]> replaced = Reserve(name.size() + value.size());
  char* const at = bytes_.get() + bytes_size_;
  std::memcpy(at, name.data(), name.size());
  if (!value.empty()) std::memcpy(at + name.size(), value.data(), value.size());
  bytes_size_ += static_cast<std::uint32_t>(name.size() + value.size());
  AddWithin({at, name.size()}, {at + name.size(), value.size()}, id);
}

Head::Field Head::field(std::size_t i) const noexcept {
  const Entry& entry = fields_[i];
  return Field{At(entry.name), At(entry.value), entry.id};
}

std::string_view Head::Find(HeaderId id) const noexcept {
  const std::uint16_t first = first_[static_cast<std::size_t>(id)];
  return first == 0 || id == HeaderId::kOther ? std::string_view{} : At(fields_[first - 1u].value);
}

std::size_t Head::Count(HeaderId id) const noexcept {
  std::size_t count = 0;
  for (const Entry& entry : fields_) count += entry.id == id ? 1 : 0;
  return count;
}

std::string_view Head::Find(std::string_view name) const noexcept {
  for (const Entry& entry : fields_) {
    if (At(entry.name) == name) return At(entry.value);
  }
  return {};
}

void Head::Remove(HeaderId id) noexcept {
  if (!Has(id)) return;
  std::erase_if(fields_, [id](const Entry& entry) { return entry.id == id; });
  std::memset(first_, 0, sizeof first_);
  for (std::size_t i = fields_.size(); i > 0; --i) {
    first_[static_cast<std::size_t>(fields_[i - 1].id)] = static_cast<std::uint16_t>(i);
  }
}

void HeadReturn::operator()(Head* head) const noexcept {
  constexpr std::size_t kKeepBytes = 64 * 1024;
  std::unique_ptr<Head> owned(head);
  if (pool == nullptr || pool->free_.size() >= pool->free_max_ || head->bytes_capacity_ > kKeepBytes) return;
  head->Clear();
  pool->free_.push_back(std::move(owned));
}

HeadPtr HeadPool::Take() {
  if (free_.empty()) return HeadPtr(new Head, HeadReturn{this});
  Head* head = free_.back().release();
  free_.pop_back();
  return HeadPtr(head, HeadReturn{this});
}

}  // namespace penstock::http
