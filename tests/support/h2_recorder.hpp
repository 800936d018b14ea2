#pragma once

// Handlers that write down what an H2Codec tells them, and a driver that feeds and drains one codec.

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "penstock/http/h2_codec.hpp"
#include "penstock/http/h2_memory.hpp"
#include "support/h2_frames.hpp"

namespace penstock::test {

class RecordedStream final : public http::H2StreamHandler {
 public:
  void OnResponse(http::HeadPtr response, bool end) override {
    head = std::move(response);
    ended |= end;
  }
  void OnBody(std::string_view bytes) override {
    body.append(bytes);
    if (codec != nullptr && credit) codec->Consumed(id, bytes.size());
  }
  void OnEnd() override { ended = true; }
  void OnClosed(http::H2Error code, http::H2Fate fate) override {
    closed = code;
    unprocessed = fate == http::H2Fate::kUnprocessed;
    malformed = fate == http::H2Fate::kMalformed;
    ++closed_times;
  }
  http::BodyPiece PullBody(char* to, std::size_t capacity) override {
    ++pulls;
    const std::size_t bytes = std::min(capacity, to_send.size());
    std::memcpy(to, to_send.data(), bytes);
    to_send.erase(0, bytes);
    if (to_send.empty() && trailers != nullptr) {
      codec->SubmitTrailers(id, *trailers);
      return {bytes, http::BodyState::kMore};
    }
    return {bytes, to_send.empty() ? last : http::BodyState::kMore};
  }

  http::H2Codec* codec = nullptr;
  std::int32_t id = 0;
  bool credit = true;  ///< Consumed() at once
  http::HeadPtr head;
  std::string body;
  bool ended = false;
  std::optional<http::H2Error> closed;
  bool unprocessed = false;
  bool malformed = false;
  int closed_times = 0;
  int pulls = 0;
  std::string to_send;
  http::BodyState last = http::BodyState::kEnd;  ///< what comes with the last byte of to_send
  const http::Head* trailers = nullptr;          ///< instead of `last`
  const char* reject_reason = nullptr;
  ErrorCode reject_code = ErrorCode::kNone;
};

/// One codec with everything around it. H2Memory without a free list, so that the sanitizer sees every misuse.
class H2End : public http::H2ConnectionHandler {
 public:
  explicit H2End(http::H2Codec::Side side, const http::H2Limits& limits = {}, std::size_t memory_kept = 0)
      : memory(memory_kept), codec(std::make_unique<http::H2Codec>(side, memory, heads, limits, *this)) {}
  virtual ~H2End() { codec.reset(); }

  http::H2StreamHandler* OnRequest(std::int32_t stream, http::HeadPtr head, bool end) override {
    ++requests;
    RecordedStream& record = NewStream(stream);
    record.ended = end;
    if (respond) {
      http::Head response;
      response.status = 200;
      record.to_send = response_body;
      record.last = response_last;
      record.trailers = response_trailers;
      codec->SubmitResponse(stream, response, response_body.empty());
    }
    record.head = std::move(head);
    return &record;
  }
  http::H2StreamHandler* OnReject(std::int32_t stream, http::HeadPtr head, bool end, const Error& error,
                                  const char* reason) override {
    RecordedStream& record = NewStream(stream);
    record.ended = end;
    record.head = std::move(head);
    record.reject_reason = reason;
    record.reject_code = error.code;
    return &record;
  }
  void OnGoaway(http::H2Error code) override {
    goaway = code;
    ++goaways;
  }
  void OnSettings() override { ++settings; }
  void OnPingAck() override { ++ping_acks; }

  RecordedStream& NewStream(std::int32_t id) {
    auto& slot = streams[id];
    slot = std::make_unique<RecordedStream>();
    slot->id = id;
    slot->codec = codec.get();
    return *slot;
  }
  RecordedStream& Request(const http::Head& head, std::string_view body = {}) {
    auto record = std::make_unique<RecordedStream>();
    record->codec = codec.get();
    record->to_send = body;
    const std::int32_t id = codec->SubmitRequest(head, body.empty(), *record);
    record->id = id;
    return *(streams[id] = std::move(record));
  }

  bool Feed(std::string_view bytes) { return codec->Feed(bytes, now); }
  /// Everything that can be sent now; whether the codec lives on is in `alive`.
  std::string Drain(std::size_t target = 64 * 1024) {
    std::string bytes;
    do {
      Chain out(chunks);
      alive = codec->Pull(out, target);
      const std::size_t begin = bytes.size();
      bytes.resize(begin + out.size());
      out.Read(bytes.data() + begin, out.size());
      if (bytes.size() == begin) break;
    } while (alive);
    sent += bytes;
    return bytes;
  }
  /// Feeds in reads of `piece` bytes and drains after each, as a session does. False: the connection ended.
  bool Exchange(std::string_view bytes, std::size_t piece = 16 * 1024) {
    while (!bytes.empty()) {
      const std::string_view part = bytes.substr(0, piece);
      bytes.remove_prefix(part.size());
      const bool fed = Feed(part);
      Drain();
      if (!fed || !alive) return false;
    }
    return true;
  }
  std::vector<ParsedFrame> SentFrames() const { return ParseFrames(sent); }
  /// The code of the last GOAWAY sent; -1: none.
  std::int64_t SentGoaway() const {
    const auto frames = OfType(SentFrames(), h2::kGoaway);
    return frames.empty() ? -1
                          : static_cast<std::int64_t>(Number(std::string_view(frames.back().payload).substr(4, 4)));
  }
  /// The code of the RST_STREAM sent on a stream; -1: none.
  std::int64_t SentReset(std::uint32_t stream) const {
    for (const ParsedFrame& frame : OfType(SentFrames(), h2::kRst)) {
      if (frame.stream == stream) return Number(frame.payload);
    }
    return -1;
  }
  std::size_t ClosedStreams() const {
    return static_cast<std::size_t>(std::count_if(streams.begin(), streams.end(),
                                                  [](const auto& entry) { return entry.second->closed_times == 1; }));
  }
  void Advance(Duration duration) { now = now + duration; }

  ChunkPool chunks;
  http::HeadPool heads;
  http::H2Memory memory;
  std::unique_ptr<http::H2Codec> codec;
  TimePoint now{1'000'000'000};
  std::map<std::int32_t, std::unique_ptr<RecordedStream>> streams;
  std::string sent;
  bool alive = true;
  bool respond = false;  ///< answer every request at once: 200 and response_body
  std::string response_body;
  http::BodyState response_last = http::BodyState::kEnd;
  const http::Head* response_trailers = nullptr;
  int requests = 0;
  int settings = 0;
  int ping_acks = 0;
  int goaways = 0;
  std::optional<http::H2Error> goaway;
};

/// Carries bytes between the two ends until both are silent.
inline void Settle(H2End& a, H2End& b) {
  for (;;) {
    const std::string from_a = a.Drain();
    if (!from_a.empty()) b.Feed(from_a);
    const std::string from_b = b.Drain();
    if (!from_b.empty()) a.Feed(from_b);
    if (from_a.empty() && from_b.empty()) return;
  }
}

inline http::Head PostHead(std::string_view path = "/v1/chat/completions") {
  http::Head head;
  head.method = http::Method::kPost;
  head.set_method_text("POST");
  head.set_scheme("http");
  head.set_authority("backend:8000");
  head.set_target(path);
  head.Add("content-type", "application/json");
  return head;
}

}  // namespace penstock::test
