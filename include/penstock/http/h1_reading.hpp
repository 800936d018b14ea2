#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "penstock/http/head.hpp"

namespace penstock::http {

// Parts that the server's and the client's codec are made of. Not for other users.

struct H1Limits;
struct H1Verdict;

/// Owned by one Worker. Reads a start line and a section of fields (a message's head), or the fields alone (a
/// body's trailers), within a Head's store: bytes are copied once, to the end of the store, and parsed there,
/// names turned to lower case in place. Memory held is the Head's; between messages there is none. Bytes that
/// were clean once are not looked at again, so that delivery byte by byte costs linear time.
class H1HeadReader {
 public:
  enum class Got : std::uint8_t { kMore, kEnd, kRefused };
  struct Field {
    std::string_view name;   ///< lower case
    std::string_view value;  ///< trimmed
    HeaderId id;
    bool unclean;  ///< an underscore in the name, or a value with 8-bit bytes that are not clean UTF-8
  };
  struct Bounds {
    std::size_t start_line;  ///< bytes, line end included; 0: there is no start line
    std::size_t fields;      ///< bytes, line ends included but for the empty line at the end
    std::size_t field_count;
  };

  explicit H1HeadReader(HeadPool& heads) noexcept : heads_(&heads) {}

  bool active() const noexcept { return head_ != nullptr; }
  Head& head() noexcept { return *head_; }
  HeadPool& heads() noexcept { return *heads_; }
  HeadPtr TakeHead() noexcept { return std::move(head_); }

  /// Borrows a head, or clears the one at hand.
  void Begin(const Bounds& bounds);
  /// Takes bytes up to the end of the section; `taken` is how many. take_start(char* line, std::size_t size)
  /// and take_field(const Field&) return null or why the message is refused. A line is judged when it is
  /// whole; the order of the checks before (bound, then bytes, each at the first position that breaks it)
  /// makes the outcome independent of how the bytes were split. Defined in src/http/h1_head_reader.hpp.
  template <class TakeStart, class TakeField>
  Got Read(std::string_view bytes, std::size_t& taken, const H1Verdict*& wrong, const H1Verdict& long_start_line,
           TakeStart take_start, TakeField take_field);

  /// Adds a field just parsed; its bytes stay where they are.
  void Keep(const Field& field) { head_->AddWithin(field.name, field.value, field.id); }
  void KeepMethod(std::string_view text) noexcept { head_->method_text_ = head_->Within(text); }
  void KeepScheme(std::string_view text) noexcept { head_->scheme_ = head_->Within(text); }
  void KeepAuthority(std::string_view text) noexcept { head_->authority_ = head_->Within(text); }
  void KeepTarget(std::string_view text) noexcept { head_->target_ = head_->Within(text); }

 private:
  /// A copy of the members below for the inner loop: in registers, where stores to the text cannot alias it.
  struct Cursor {
    char* line;        ///< begin of the current line
    char* scanned;     ///< bytes of the line before this are clean
    const char* end;   ///< of the text
    const char* stop;  ///< the end or the section's bound, what comes first
    std::size_t fields_left;
    bool eight_bit;  ///< the line may have bytes above 0x7f
  };

  /// False: no whole good line; cursor.scanned is where it stopped. Then WhyNoLine tells, null for "not all
  /// of it is here yet".
  static bool NextLine(Cursor& cursor, char*& line, std::size_t& size) noexcept;
  const H1Verdict* WhyNoLine(const Cursor& cursor, const H1Verdict& long_start_line) const noexcept;
  static const H1Verdict* ParseField(Cursor& cursor, char* line, std::size_t size, Field& field) noexcept;
  std::size_t Fill(std::string_view bytes);
  void OpenFields() noexcept;
  Cursor Open() noexcept;
  void Close(const Cursor& cursor) noexcept;

  HeadPool* heads_;
  HeadPtr head_;
  std::uint32_t bound_ = 0;    ///< offset of the first byte too many for the section
  std::uint32_t line_ = 0;     ///< offset of the current line
  std::uint32_t scanned_ = 0;  ///< bytes of the current line before this are clean
  std::uint32_t fields_bound_ = 0;
  std::uint16_t field_count_ = 0;
  std::uint16_t fields_left_ = 0;  ///< 0 while a start line is due
  bool start_line_ = false;        ///< due
  bool eight_bit_ = false;         ///< the current line may have bytes above 0x7f
};

/// What the fields said about framing and the connection.
struct H1Facts {
  enum class Coding : std::uint8_t { kNone, kChunked, kUnknown, kMalformed };
  enum class Expectation : std::uint8_t { kNone, kContinue, kUnknown };
  std::uint64_t length = 0;
  bool has_length = false;
  bool has_host = false;
  bool close = false;       ///< Connection: close
  bool keep_alive = false;  ///< Connection: keep-alive
  Coding coding = Coding::kNone;
  Expectation expectation = Expectation::kNone;

  /// Is this one of the fields that Note looks at?
  static constexpr bool Matters(HeaderId id) noexcept {
    return id == HeaderId::kContentLength || id == HeaderId::kTransferEncoding || id == HeaderId::kHost ||
           id == HeaderId::kConnection || id == HeaderId::kExpect;
  }
  /// Looks at one field; null when it is fine.
  const H1Verdict* Note(HeaderId id, std::string_view value) noexcept;
  /// RFC 9112 9.3.
  bool Persistent(Version version) const noexcept { return !close && (version == Version::kHttp11 || keep_alive); }
};

/// Owned by one Worker. Takes chunked framing (RFC 9112 7.1) off a body, trailers included; strict: no white
/// space and no quoted strings around sizes and extensions, trailers only checked.
class H1ChunkedBody {
 public:
  enum class Got : std::uint8_t { kMore, kBytes, kEnd, kRefused };

  void Begin() noexcept { *this = H1ChunkedBody{}; }
  /// Takes bytes off the front of `bytes`. kBytes: `piece` is body. `body_max` bounds the whole body.
  /// `reader` is idle and serves as the trailers' store.
  Got Next(std::string_view& bytes, std::string_view& piece, const H1Limits& limits, std::uint64_t body_max,
           H1HeadReader& reader, const H1Verdict*& wrong);

 private:
  enum class Step : std::uint8_t {
    kSizeFirst,
    kSize,
    kNameFirst,
    kName,
    kValueFirst,
    kValue,
    kSizeLf,
    kBytes,
    kBytesCr,
    kBytesLf,
    kTrailers
  };
  const H1Verdict* SizeLine(std::string_view& bytes, const H1Limits& limits, std::uint64_t body_max) noexcept;
  const H1Verdict* SizeByte(char c, const H1Limits& limits, std::uint64_t body_max) noexcept;
  const H1Verdict* SizeLineDone(std::uint64_t body_max) noexcept;
  Got Trailers(std::string_view& bytes, const H1Limits& limits, H1HeadReader& reader, const H1Verdict*& wrong);

  std::uint64_t size_ = 0;        ///< of the current chunk; then what is left of it
  std::uint64_t total_ = 0;       ///< of all chunks so far
  std::uint32_t extension_ = 0;   ///< bytes of this chunk's extensions
  std::uint32_t extensions_ = 0;  ///< of all
  Step step_ = Step::kSizeFirst;
  std::uint8_t digits_ = 0;
};

/// Reads the method, target and version of a request line and the parts of an absolute target.
struct H1RequestLine {
  Method method = Method::kOther;
  Version version = Version::kHttp11;
  std::string_view method_text, scheme, authority, target;

  /// `line` is rewritten where an absolute target has no path. Null when it is well-formed.
  const H1Verdict* Parse(char* line, std::size_t size, std::size_t uri_max) noexcept;
};

/// host [":" port] as RFC 3986 3.2.2, without userinfo, percent-encoding, sub-delimiters; neither part empty.
bool IsAuthority(std::string_view text) noexcept;

}  // namespace penstock::http
