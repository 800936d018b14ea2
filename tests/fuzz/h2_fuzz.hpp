#pragma once

// What both HTTP/2 fuzz targets share: a script of operations read from the input, run against one codec.
//
// Input: a flag byte, then operations: one byte (what, modulo kOperations), one byte (how much), and for kFeed so many
// bytes of frames. Handlers draw their own decisions from the same script, so that calls from inside callbacks
// (row H2-40, CVE-2026-27135) are explored too.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "penstock/http/h2_codec.hpp"
#include "penstock/http/h2_memory.hpp"

namespace penstock::fuzz {

inline void Require(bool condition) {
  if (!condition) std::abort();
}

class Script {
 public:
  Script(const std::uint8_t* bytes, std::size_t size) : rest_(reinterpret_cast<const char*>(bytes), size) {}
  bool empty() const { return rest_.empty(); }
  std::uint8_t Byte() {
    if (rest_.empty()) return 0;
    const auto byte = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return byte;
  }
  std::string_view Bytes(std::size_t size) {
    const std::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(bytes.size());
    return bytes;
  }

 private:
  std::string_view rest_;
};

class Driver final : public http::H2ConnectionHandler {
 public:
  Driver(http::H2Codec::Side side, const http::H2Limits& limits, Script& script)
      : script_(script),
        memory_(0),
        codec_(side, memory_, heads_, limits, *this),
        server_(side == http::H2Codec::Side::kServer) {}

  void Run() {
    while (!script_.empty() && alive_) Step();
    Pull(1 << 20);
    codec_.ConnectionLost();
    Require(codec_.open_streams() == 0);
    for (const auto& [id, stream] : streams_) Require(stream->closed == (stream->detached ? 0 : 1));
  }
  void Feed(std::string_view bytes) {
    if (!alive_) return;
    alive_ = codec_.Feed(bytes, now_);
    if (!alive_) Require(codec_.open_streams() == 0);
  }

 private:
  struct Stream final : http::H2StreamHandler {
    Stream(Driver& owner, std::int32_t stream_id) : driver(owner), id(stream_id) {}
    void OnResponse(http::HeadPtr head, bool end) override {
      Require(head != nullptr && head->status >= 200 && !responded);
      responded = true;
      ended = end;
      driver.ActInside(id);
    }
    void OnBody(std::string_view bytes) override {
      Require(!bytes.empty() && !ended && closed == 0);
      driver.ActInside(id);
    }
    void OnEnd() override {
      Require(!ended && closed == 0);
      ended = true;
      driver.ActInside(id);
    }
    void OnClosed(http::H2Error, http::H2Fate fate) override {
      ++closed;
      Require(closed == 1 && !(fate == http::H2Fate::kUnprocessed && driver.server_));
      driver.ActInside(id);
    }
    http::BodyPiece PullBody(char* to, std::size_t capacity) override {
      Require(closed == 0 && capacity > 0);
      const std::uint8_t how = driver.script_.Byte();
      const std::size_t bytes = std::min<std::size_t>(capacity, how % 4 == 0 ? capacity : how);
      std::memset(to, 'b', bytes);
      driver.ActInside(id);
      constexpr http::BodyState kStates[] = {http::BodyState::kMore, http::BodyState::kMore, http::BodyState::kEnd,
                                             http::BodyState::kAbort};
      return {bytes, kStates[how / 4 % 4]};
    }
    Driver& driver;
    std::int32_t id;
    int closed = 0;
    bool responded = false;
    bool ended = false;
    bool detached = false;
  };

  http::H2StreamHandler* OnRequest(std::int32_t id, http::HeadPtr head, bool end) override {
    Require(head != nullptr && !head->method_text().empty() &&
            head->authority().find_first_of("@, \r\n") == std::string_view::npos);
    return Open(id, end);
  }
  http::H2StreamHandler* OnReject(std::int32_t id, http::HeadPtr head, bool end, const Error&,
                                  const char* reason) override {
    Require(head != nullptr && reason != nullptr);
    return Open(id, end);
  }
  void OnGoaway(http::H2Error) override { ActInside(1); }
  void OnSettings() override { ActInside(1); }
  void OnPingAck() override { ActInside(1); }

  Stream* Open(std::int32_t id, bool end) {
    auto& slot = streams_[id];
    Require(slot == nullptr);
    slot = std::make_unique<Stream>(*this, id);
    slot->ended = end;
    Stream* stream = slot.get();
    if (script_.Byte() % 2 == 0) Respond(id);
    return stream;
  }
  void Respond(std::int32_t id) {
    http::Head head;
    const std::uint8_t how = script_.Byte();
    head.status = static_cast<std::uint16_t>(how % 8 == 0 ? 103 : 200 + how);
    head.Add("content-type", "application/json");
    head.Add("x-f", std::string(how, 'f'));
    codec_.SubmitResponse(id, head, how % 3 == 0);
  }
  void End(std::int32_t id) {
    http::Head trailers;
    trailers.Add("grpc-status", "0");
    codec_.SubmitTrailers(id, trailers);
  }
  void Request() {
    if (streams_.size() > 200) return;
    http::Head head;
    head.set_method_text("POST");
    head.set_scheme("http");
    head.set_authority("a");
    head.set_target("/");
    auto stream = std::make_unique<Stream>(*this, 0);
    const std::int32_t id = codec_.SubmitRequest(head, script_.Byte() % 2 == 0, *stream);
    if (id < 0) return;
    stream->id = id;
    streams_[id] = std::move(stream);
  }

  /// A call that is allowed inside callbacks; seldom, so that ordinary talk goes on too.
  void ActInside(std::int32_t id) {
    const std::uint8_t what = script_.Byte();
    if (what < 160 || inside_ > 3) return;
    ++inside_;
    Act(what % 9, id, what);
    --inside_;
  }
  void Act(int what, std::int32_t id, std::uint8_t how) {
    switch (what) {
      case 0: return codec_.Reset(id, static_cast<http::H2Error>(how % 14));
      case 1: return codec_.ResumeBody(id);
      case 2: return codec_.Consumed(id, how * 100u);
      case 3: return codec_.GrowWindow(id, how * 500u);
      case 4: return server_ && how % 2 == 1 ? End(id) : codec_.SubmitPing();
      case 5: return server_ ? Respond(id) : Request();
      case 6:
        if (const auto found = streams_.find(id); found != streams_.end() && found->second->closed == 0) {
          codec_.Detach(id);
          found->second->detached = true;
        }
        return;
      case 7: return codec_.BeginGoaway();
      default: return codec_.FinishGoaway();
    }
  }
  void Step() {
    const std::uint8_t what = script_.Byte();
    const std::uint8_t how = script_.Byte();
    switch (what % 8) {
      case 0:
      case 1:
      case 2: return Feed(script_.Bytes(what % 8 == 0 ? how : how * 16u));
      case 3: return Pull(how * 64u + 1);
      case 4: now_ = now_ + std::chrono::milliseconds(how * 10); return;
      case 5:
        if (how == 0) codec_.Terminate(http::H2Error::kCancel);
        return;
      case 6: return server_ ? Respond(2 * (how % 16) + 1) : Request();
      default: return Act(how % 9, 2 * (how / 9 % 16) + 1, how);
    }
  }
  void Pull(std::size_t target) {
    Chain out(chunks_);
    if (!codec_.Pull(out, target)) {
      alive_ = false;
      Require(codec_.open_streams() == 0 && !codec_.wants_write());
    }
  }

  Script& script_;
  ChunkPool chunks_;
  http::HeadPool heads_;
  http::H2Memory memory_;
  std::map<std::int32_t, std::unique_ptr<Stream>> streams_;
  http::H2Codec codec_;
  TimePoint now_{1'000'000'000};
  bool server_;
  bool alive_ = true;
  int inside_ = 0;
};

}  // namespace penstock::fuzz
