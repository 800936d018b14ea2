#include "llm/json/canonical.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <span>

#include "llm/json/string.hpp"

namespace penstock::llm::json {
namespace {

constexpr std::size_t kRetained = 16384;  ///< entries of each stack that Trim leaves

/// A closing bracket is its opening one + 2; of all bytes that begin a token, only these four look like this.
bool IsBracket(char c) noexcept { return (c & 0xD9) == 0x59; }
bool IsOpening(char c) noexcept { return (c & 4) == 0; }

constexpr std::uint64_t kEachByte = 0x0101010101010101;

/// A text's first 8 bytes, the first one lowest, padded with zeroes. `readable`: bytes from its begin to the end of
/// what surrounds it, so that most are one load.
std::uint64_t First8(std::string_view text, std::size_t readable) noexcept {
  static_assert(std::endian::native == std::endian::little);
  std::uint64_t word = 0;
  if (readable < 8) {
    std::memcpy(&word, text.data(), std::min<std::size_t>(8, text.size()));
    return word;
  }
  std::memcpy(&word, text.data(), 8);
  return text.size() < 8 ? word & ((std::uint64_t{1} << (8 * text.size())) - 1) : word;
}

/// Does a text with these first 8 bytes have a backslash? Short ones are asked all bytes at once ("haszero" of
/// Anderson's Bit Twiddling Hacks, which is exact about whether there is one).
bool HasBackslash(std::string_view text, std::uint64_t first8) noexcept {
  if (text.size() > 8) return text.find('\\') != std::string_view::npos;
  const std::uint64_t x = first8 ^ (kEachByte * '\\');
  return ((x - kEachByte) & ~x & (kEachByte << 7)) != 0;
}

template <class Stack>
void Shrink(Stack& stack) {
  if (stack.capacity() > kRetained) Stack().swap(stack);
}

}  // namespace

void CanonicalWriter::Write(const Document& document, LeaveOut leave_out, ByteSink sink) {
  document_ = document;
  sink_ = sink;
  run_begin_ = run_end_ = 0;
  members_.clear();
  frames_.clear();
  decoded_.clear();
  IndexContainers();
  Collect(0, 0, leave_out);
  Open(0, 0, 0, 0);
  while (!frames_.empty()) {
    Frame& frame = frames_.back();
    bool descended = false;
    while (!descended && frame.token != frame.end) {
      const char first = First(frame.token);
      if (first == '{') {
        descended = Descend(frame);
        continue;
      }
      if (first == '[') ++frame.container;
      Emit(frame.token++);
    }
    if (!descended) NextMember(frame);
  }
  Flush();
}

void CanonicalWriter::WriteSorted(const Document& document, LeaveOut leave_out, ByteSink sink) {
  document_ = document;
  sink_ = sink;
  run_begin_ = document.tokens[0];
  run_end_ = run_begin_ + 1;
  bool first = true;
  Cursor(document).EachMember([&](std::string_view key, Cursor& value) {
    const auto begin = static_cast<std::uint32_t>(key.data() - 1 - document.bytes);
    value.Skip();
    if (leave_out(key)) return;
    EmitBytes(first ? begin : begin - 1, value.offset());
    first = false;
  });
  const std::uint32_t close = document.tokens[document.count - 1];
  EmitBytes(close, close + 1);
  Flush();
}

void CanonicalWriter::IndexContainers() {
  containers_.clear();
  std::uint32_t open = 0;
  for (std::uint32_t token = 0; token < document_.count; ++token) {
    const char c = First(token);
    if (!IsBracket(c)) continue;
    const auto count = static_cast<std::uint32_t>(containers_.size());
    if (IsOpening(c)) {
      containers_.push_back({.close = open, .next = 0});
      open = count;
    } else {
      const std::uint32_t around = containers_[open].close;
      containers_[open] = {.close = token, .next = count};
      open = around;
    }
  }
}

bool CanonicalWriter::Collect(std::uint32_t token, std::uint32_t container, LeaveOut leave_out) {
  const std::size_t first = members_.size();
  const std::uint32_t close = containers_[container].close;
  std::uint32_t child = container + 1;
  bool sorted = true;
  for (std::uint32_t key = token + 1; key < close;) {
    Member member{.key = key, .end = key + 3, .container = child};
    if (const char value = First(key + 2); value == '{' || value == '[') {
      member.end = containers_[child].close + 1;
      child = containers_[child].next;
    }
    key = member.end + 1;  // behind the comma
    ReadKey(member);
    if (leave_out != nullptr && leave_out(Key(member))) continue;
    sorted = sorted && (members_.size() == first || Less(members_.back(), member));
    members_.push_back(member);
  }
  return sorted;
}

void CanonicalWriter::ReadKey(Member& member) {
  const std::uint32_t begin = document_.tokens[member.key] + 1;
  std::uint32_t end = document_.tokens[member.key + 1];
  while (IsSpace(document_.bytes[end - 1])) --end;
  const std::string_view raw{document_.bytes + begin, end - 1 - begin};
  member.where = begin;
  member.size = static_cast<std::uint32_t>(raw.size());
  std::uint64_t first8 = First8(raw, document_.size - begin);
  if (HasBackslash(raw, first8)) {
    const std::size_t where = decoded_.size();
    decoded_.resize(where + raw.size());
    const std::size_t size = Unescape(raw, std::span(decoded_).subspan(where));
    decoded_.resize(where + size);
    member.where = static_cast<std::uint32_t>(where);
    member.size = static_cast<std::uint32_t>(size) | kDecoded;
    first8 = First8(Key(member), 0);
  }
  member.prefix = __builtin_bswap64(first8);
}

std::string_view CanonicalWriter::Key(const Member& member) const noexcept {
  const char* const from = (member.size & kDecoded) != 0 ? decoded_.data() : document_.bytes;
  return {from + member.where, member.size & ~kDecoded};
}

bool CanonicalWriter::Less(const Member& a, const Member& b) const noexcept {
  return a.prefix != b.prefix ? a.prefix < b.prefix : Key(a) < Key(b);
}

void CanonicalWriter::Open(std::uint32_t token, std::uint32_t container, std::uint32_t first, std::uint32_t decoded) {
  const auto last = static_cast<std::uint32_t>(members_.size());
  std::sort(members_.begin() + first, members_.end(), [this](const Member& a, const Member& b) { return Less(a, b); });
  Emit(token);
  frames_.push_back(
      {.close = containers_[container].close, .member = first, .first = first, .last = last, .decoded = decoded});
}

bool CanonicalWriter::Descend(Frame& frame) {
  const std::uint32_t token = frame.token;
  const std::uint32_t container = frame.container;
  const auto first = static_cast<std::uint32_t>(members_.size());
  const auto decoded = static_cast<std::uint32_t>(decoded_.size());
  if (Collect(token, container, nullptr)) {
    members_.resize(first);
    decoded_.resize(decoded);
    ++frame.container;
    Emit(frame.token++);
    return false;
  }
  frame.token = containers_[container].close + 1;
  frame.container = containers_[container].next;
  Open(token, container, first, decoded);
  return true;
}

void CanonicalWriter::NextMember(Frame& frame) {
  if (frame.member == frame.last) {
    Emit(frame.close);
    members_.resize(frame.first);
    decoded_.resize(frame.decoded);
    frames_.pop_back();
    return;
  }
  const Member& member = members_[frame.member];
  if (frame.member != frame.first) {
    if (First(member.key - 1) == ',') {
      Emit(member.key - 1);  // its own comma joins the run
    } else {
      Flush();
      sink_.write(sink_.context, ",");
    }
  }
  frame.token = member.key;
  frame.end = member.end;
  frame.container = member.container;
  ++frame.member;
}

void CanonicalWriter::Trim() {
  Shrink(containers_);
  Shrink(members_);
  Shrink(frames_);
  Shrink(decoded_);
}

}  // namespace penstock::llm::json
