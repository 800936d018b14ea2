#include <algorithm>
#include <charconv>
#include <cstring>

#include "http/h1_scan.hpp"
#include "penstock/base/assert.hpp"
#include "penstock/http/h1_server_codec.hpp"

namespace penstock::http {
namespace {

constexpr std::size_t kDecimalDigits = 20;
constexpr std::size_t kHexDigits = 16;

bool IsFreeOf(std::string_view text, unsigned char below, bool tab) noexcept {
  bool bad = false;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    bad |= byte == 0x7f || (byte < below && !(tab && byte == '\t'));
  }
  return !bad;
}
bool IsValue(std::string_view text) noexcept { return IsFreeOf(text, 0x20, true); }  ///< ends no line
bool IsWord(std::string_view text) noexcept { return IsFreeOf(text, 0x21, false); }  ///< ends no word of a request line

/// Appends to a chain through its reserved room: one copy per piece, one Commit per block.
class Writer {
 public:
  explicit Writer(Chain& out) : out_(out), room_(out.Reserve()) {}
  ~Writer() { out_.Commit(used_); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  void Put(std::string_view text) {
    while (text.size() > room_.size() - used_) [[unlikely]] {
        const std::size_t n = room_.size() - used_;
        Copy(text.substr(0, n));
        text.remove_prefix(n);
        out_.Commit(used_);
        room_ = out_.Reserve();
        used_ = 0;
      }
    Copy(text);
  }
  void PutDecimal(std::uint64_t value) {
    char digits[kDecimalDigits];
    const std::to_chars_result end = std::to_chars(digits, digits + sizeof digits, value);
    Put({digits, static_cast<std::size_t>(end.ptr - digits)});
  }
  /// A field of a Head, unless it holds what could end its line or its name.
  void PutField(const Head::Field& field) {
    constexpr std::size_t kSlack = 16;  // CopyText writes whole blocks
    const std::size_t size = field.name.size() + field.value.size() + 4;
    if (!scan::IsPlainName(field.name.data(), field.name.size()) && !scan::IsToken(field.name)) [[unlikely]]
      return;
    if (room_.size() - used_ < size + kSlack) [[unlikely]]
      return PutFieldInPieces(field);
    char* to = room_.data() + used_;
    scan::CopyText(to, field.name.data(), field.name.size());
    to += field.name.size();
    std::memcpy(to, ": ", 2);
    if (!scan::CopyText(to + 2, field.value.data(), field.value.size())) [[unlikely]]
      return;
    std::memcpy(to + 2 + field.value.size(), "\r\n", 2);
    used_ += size;
  }

 private:
  void Copy(std::string_view text) {
    if (text.empty()) return;
    std::memcpy(room_.data() + used_, text.data(), text.size());
    used_ += text.size();
  }
  void PutFieldInPieces(const Head::Field& field) {
    if (!IsValue(field.value)) return;
    Put(field.name);
    Put(": ");
    Put(field.value);
    Put("\r\n");
  }

  Chain& out_;
  std::span<char> room_;
  std::size_t used_ = 0;
};

/// Fields of one connection, and those that the writers make themselves.
bool IsHopByHop(HeaderId id) noexcept {
  switch (id) {
    case HeaderId::kConnection:
    case HeaderId::kContentLength:
    case HeaderId::kKeepAlive:
    case HeaderId::kProxyConnection:
    case HeaderId::kTe:
    case HeaderId::kTrailer:
    case HeaderId::kTransferEncoding:
    case HeaderId::kUpgrade: return true;
    default: return false;
  }
}

void PutLength(Writer& writer, std::uint64_t length) {
  writer.Put("content-length: ");
  writer.PutDecimal(length);
  writer.Put("\r\n");
}

struct Reason {
  std::uint16_t status;
  std::string_view phrase;
};

constexpr Reason kReasons[] = {
    {100, "Continue"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {424, "Failed Dependency"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {529, "Site Overloaded"},
};

static_assert(std::is_sorted(std::begin(kReasons), std::end(kReasons),
                             [](const Reason& a, const Reason& b) { return a.status < b.status; }));

std::string_view ReasonPhrase(std::uint16_t status) noexcept {
  if (status == 200) return "OK";
  const Reason* found =
      std::lower_bound(std::begin(kReasons), std::end(kReasons), status,
                       [](const Reason& reason, std::uint16_t wanted) { return reason.status < wanted; });
  return found != std::end(kReasons) && found->status == status ? found->phrase : "Status";
}

void PutStatusLine(Writer& writer, std::uint16_t status) {
  const char digits[] = {static_cast<char>('0' + status / 100 % 10), static_cast<char>('0' + status / 10 % 10),
                         static_cast<char>('0' + status % 10)};
  writer.Put("HTTP/1.1 ");
  writer.Put({digits, sizeof digits});
  writer.Put(" ");
  writer.Put(ReasonPhrase(status));
  writer.Put("\r\n");
}

}  // namespace

bool WriteH1ResponseHead(Chain& out, const Head& head, Framing framing, Version client_version, bool keep_alive) {
  Writer writer(out);
  PutStatusLine(writer, head.status);
  for (std::size_t i = 0; i < head.size(); ++i) {
    const Head::Field field = head.field(i);
    if (!IsHopByHop(field.id)) writer.PutField(field);
  }
  const bool no_length = head.status < 200 || head.status == 204;  // RFC 9110 8.6
  switch (framing) {
    case Framing::kNone:
    case Framing::kLength:
      if (head.content_length.has_value() && !no_length) PutLength(writer, *head.content_length);
      break;
    case Framing::kChunked:
    case Framing::kStream:
      if (client_version == Version::kHttp10) {
        keep_alive = false;
      } else {
        writer.Put("transfer-encoding: chunked\r\n");
      }
      break;
    case Framing::kUntilClose: keep_alive = false; break;
  }
  if (head.status >= 200) {
    if (!keep_alive) writer.Put("connection: close\r\n");
    if (keep_alive && client_version == Version::kHttp10) writer.Put("connection: keep-alive\r\n");
  }
  writer.Put("\r\n");
  return keep_alive;
}

bool WriteH1RequestHead(Chain& out, const Head& head) {
  if (!scan::IsToken(head.method_text()) || head.target().empty() || !IsWord(head.target()) ||
      !IsWord(head.authority()))
    return false;
  Writer writer(out);
  writer.Put(head.method_text());
  writer.Put(" ");
  writer.Put(head.target());
  writer.Put(" HTTP/1.1\r\nhost: ");
  writer.Put(head.authority());
  writer.Put("\r\n");
  for (std::size_t i = 0; i < head.size(); ++i) {
    const Head::Field field = head.field(i);
    if (!IsHopByHop(field.id) && field.id != HeaderId::kHost && field.id != HeaderId::kExpect) writer.PutField(field);
  }
  if (head.content_length.has_value()) {
    PutLength(writer, *head.content_length);
  } else if (head.framing == Framing::kChunked || head.framing == Framing::kStream) {
    writer.Put("transfer-encoding: chunked\r\n");
  }
  writer.Put("\r\n");
  return true;
}

void WriteChunkBegin(Chain& out, std::size_t size) {
  PENSTOCK_ASSERT(size > 0);
  char line[kHexDigits + 2];
  const std::to_chars_result end = std::to_chars(line, line + kHexDigits, size, 16);
  end.ptr[0] = '\r';
  end.ptr[1] = '\n';
  out.Append(std::string_view(line, static_cast<std::size_t>(end.ptr + 2 - line)));
}

void WriteChunkEnd(Chain& out) { out.Append("\r\n"); }

void WriteLastChunk(Chain& out) { out.Append("0\r\n\r\n"); }

}  // namespace penstock::http
