#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace penstock::llm {

inline constexpr std::size_t kSseEventDefault = std::size_t{1} << 20;  ///< `server.limits.sse_event`

/// One event of a stream: the bytes as they came, for the relay, and what they say.
struct SseEvent {
  /// Every byte since the previous event: comments and fields with their line ends, the closing blank line.
  std::string_view raw;
  std::string_view data;  ///< the data lines' values, joined by LF when there are several
  std::string_view name;  ///< the last `event:` value
  bool has_data = false;  ///< false: comments, blank lines, or fields without data
  bool has_junk = false;  ///< a line that is neither a comment nor a field of the standard
};

/// Owned by one Worker. Splits text/event-stream (WHATWG HTML, 9.2.6) into events: LF, CRLF and CR, a byte
/// order mark, comments, fields in any order, values with or without the space. The result does not depend on
/// how the bytes were cut into pieces, but for one thing: after a lone CR an event is complete; should an LF
/// follow, it belongs to the next event's raw bytes.
///
/// An event that lies in one piece is borrowed from it; one that does not is put together in a buffer. Views
/// are valid until the next call. Concatenating all `raw` and `pending()` gives the input back. Usage: Feed,
/// then Next until it does not return kEvent.
class SseDecoder {
 public:
  enum class Step : std::uint8_t {
    kEvent,
    kNeedMore,  ///< the rest of the piece was kept; feed the next one
    kTooLong,   ///< an event exceeds the limit: the stream cannot be followed any further
  };

  explicit SseDecoder(std::size_t event_bytes_max = kSseEventDefault) noexcept : event_bytes_max_(event_bytes_max) {}

  /// `piece` must stay valid until Next returned kNeedMore or kTooLong.
  void Feed(std::string_view piece) noexcept { piece_ = piece; }
  Step Next(SseEvent& event);
  /// After the last piece: hands out what lies behind the last blank line, if there is data in it. The
  /// standard drops such an event; a server that forgets the blank line behind `[DONE]` still means it. The
  /// caller judges.
  bool Finish(SseEvent& event);

  /// Bytes of an event that is not complete yet.
  std::string_view pending() const noexcept { return buffer_taken_ ? std::string_view{} : buffer_; }
  /// True when the stream stands inside an event: to send another one, its blank line must be made up first.
  bool mid_event() const noexcept { return !pending().empty() && !(after_cr_ && pending() == "\n"); }
  /// Input bytes of all events handed out so far.
  std::uint64_t consumed() const noexcept { return consumed_; }

  /// For the next stream; keeps up to 64 KiB of buffer.
  void Reset();

 private:
  /// How far the search for a blank line has come.
  struct Scan {
    bool line_empty = true;  ///< no byte of the current line yet
    bool skip_lf = false;    ///< the byte before was CR: an LF belongs to it
  };

  Step NextBuffered(SseEvent& event);
  Step Keep(std::string_view bytes);
  static const char* FindEnd(const char* p, const char* end, Scan& scan) noexcept;
  void Parse(std::string_view raw, SseEvent& event);
  void TakeLine(std::string_view line, SseEvent& event);

  std::size_t event_bytes_max_;
  std::uint64_t consumed_ = 0;
  std::string_view piece_;
  std::string buffer_;         ///< the incomplete event
  std::string joined_;         ///< several data lines' values
  Scan scan_;                  ///< of what buffer_ holds
  bool buffer_taken_ = false;  ///< buffer_ was handed out by the previous Next
  bool after_cr_ = false;      ///< the previous event ended with CR
  bool first_ = true;          ///< a byte order mark may come
};

}  // namespace penstock::llm
