#include "grpc/json_members.hpp"

#include <boost/json/basic_parser_impl.hpp>

#include "grpc/json_text.hpp"
#include "penstock/grpc/translation.hpp"

namespace penstock::grpc::kserve {
namespace {

namespace json = boost::json;
using json::error_code;
using json::string_view;

std::string_view Std(string_view text) { return {text.data(), text.size()}; }

/// Owned by one Worker. Writes what the parser reads, compact, one member of the outermost object after the other.
class MemberCollector {
 public:
  // what the parser asks of a handler; the text is bounded by the message's size
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);

  explicit MemberCollector(JsonMembers& into) : into_(into) {}
  bool duplicate() const noexcept { return duplicate_; }

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }
  bool on_object_begin(error_code&) { return depth_++ == 0 || Open('{'); }
  bool on_object_end(std::size_t, error_code& ec) { return --depth_ == 0 || Close('}', ec); }
  bool on_array_begin(error_code& ec) { return InObject(ec) && ++depth_ != 0 && Open('['); }
  bool on_array_end(std::size_t, error_code& ec) { return --depth_ != 0 && Close(']', ec); }
  bool on_key_part(string_view part, std::size_t, error_code&) { return Part(part); }
  bool on_key(string_view part, std::size_t, error_code&) {
    Part(part);
    if (depth_ == 1) {
      name_.swap(part_);
    } else {
      Separate();
      AppendQuoted(value_, part_);
      value_ += ':';
    }
    part_.clear();
    return true;
  }
  bool on_string_part(string_view part, std::size_t, error_code&) { return Part(part); }
  bool on_string(string_view part, std::size_t, error_code& ec) {
    if (!InObject(ec)) return false;
    Part(part);
    Separate();
    AppendQuoted(value_, part_);
    part_.clear();
    return Done(ec);
  }
  bool on_number_part(string_view part, error_code&) { return Part(part); }
  bool on_int64(std::int64_t, string_view part, error_code& ec) { return Scalar(part, ec); }
  bool on_uint64(std::uint64_t, string_view part, error_code& ec) { return Scalar(part, ec); }
  bool on_double(double, string_view part, error_code& ec) { return Scalar(part, ec); }
  bool on_bool(bool value, error_code& ec) { return Scalar(value ? "true" : "false", ec); }
  bool on_null(error_code& ec) { return Scalar("null", ec); }
  bool on_comment_part(string_view, error_code&) { return true; }
  bool on_comment(string_view, error_code&) { return true; }

 private:
  bool Part(string_view part) {
    part_ += Std(part);
    return true;
  }
  bool InObject(error_code& ec) const {
    if (depth_ == 0) ec = json::error::syntax;
    return depth_ != 0;
  }
  void Separate() {
    if (!value_.empty() && value_.back() != '[' && value_.back() != '{' && value_.back() != ':') value_ += ',';
  }
  bool Open(char bracket) {
    Separate();
    value_ += bracket;
    return true;
  }
  bool Close(char bracket, error_code& ec) {
    value_ += bracket;
    return Done(ec);
  }
  bool Scalar(string_view part, error_code& ec) {
    if (!InObject(ec)) return false;
    Part(part);
    Separate();
    value_ += part_;
    part_.clear();
    return Done(ec);
  }
  bool Done(error_code& ec) {
    if (depth_ != 1) return true;
    if (!into_.Put(name_, std::move(value_))) {
      duplicate_ = true;
      ec = json::error::syntax;
      return false;
    }
    value_.clear();
    return true;
  }

  JsonMembers& into_;
  std::size_t depth_ = 0;
  std::string name_;   ///< of the outermost object's member
  std::string value_;  ///< its value, as far as it was read
  std::string part_;   ///< a key, string or number, as far as it was read
  bool duplicate_ = false;
};

bool IsDigit(char c) noexcept { return c >= '0' && c <= '9'; }

}  // namespace

const std::string* JsonMembers::Find(std::string_view name) const {
  const auto found = members_.find(name);
  return found == members_.end() ? nullptr : &found->second;
}

void JsonMembers::Write(std::string& out) const {
  char separator = '{';
  for (const auto& [name, value] : members_) {
    out += separator;
    AppendQuoted(out, name);
    out += ':';
    out += value;
    separator = ',';
  }
  if (members_.empty()) out += '{';
  out += '}';
}

JsonMembers::Fault ReadMembers(std::string_view text, JsonMembers& into) {
  json::parse_options options;
  options.max_depth = kMessageDepthMax;
  json::basic_parser<MemberCollector> parser(options, into);
  error_code ec;
  const std::size_t read = parser.write_some(false, text.data(), text.size(), ec);
  if (parser.handler().duplicate()) return JsonMembers::Fault::kDuplicate;
  return ec || read != text.size() ? JsonMembers::Fault::kSyntax : JsonMembers::Fault::kNone;
}

void AppendQuoted(std::string& out, std::string_view text) {
  ByteWriter writer(out, text.size() + 2);
  WriteQuoted(writer, text);
}

bool IsInteger(std::string_view text) noexcept {
  if (text.starts_with('-')) text.remove_prefix(1);
  if (text.empty() || (text.size() > 1 && text.front() == '0')) return false;
  return text.find_first_not_of("0123456789") == std::string_view::npos;
}

bool IsNumber(std::string_view text) noexcept {
  std::size_t end = text.starts_with('-') ? 1 : 0;
  const auto digits = [&] {
    const std::size_t from = end;
    while (end < text.size() && IsDigit(text[end])) ++end;
    return end > from;
  };
  digits();
  if (!IsInteger(text.substr(0, end))) return false;
  if (end < text.size() && text[end] == '.') {
    ++end;
    if (!digits()) return false;
  }
  if (end < text.size() && (text[end] == 'e' || text[end] == 'E')) {
    ++end;
    if (end < text.size() && (text[end] == '+' || text[end] == '-')) ++end;
    if (!digits()) return false;
  }
  return end == text.size();
}

}  // namespace penstock::grpc::kserve
