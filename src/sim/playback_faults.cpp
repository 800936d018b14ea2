#include <algorithm>

#include "sim/h2_frames.hpp"
#include "sim/playback.hpp"

namespace penstock::sim {
namespace {

constexpr std::string_view kHtml = "<!DOCTYPE html><html><body><h1>It works!</h1></body></html>\n";
constexpr std::string_view kBroke = "the simulator broke as it was told";
constexpr std::uint32_t kGoawayGapMs = 20;  // between the two steps of a graceful GOAWAY

/// FAULTS U-14: events that no strict reader takes as they are. Each ends where the next event may begin.
std::string_view MalformedEvent(std::string_view which) {
  if (which == "nodata") return "this line has no field name and no colon\n\n";
  if (which == "cr") return "data: {\"choices\":[]}\r\r";
  if (which == "bom")
    return "\xef\xbb\xbf"
           "data: {\"choices\":[]}\n\n";
  if (which == "comment") return ": a comment\n:\n\n";
  if (which == "id") return "id: 7\ndata: {\"choices\":[]}\n\n";
  if (which == "multiline") return "data: {\"choices\":\ndata: []}\n\n";
  if (which == "empty") return "data:\n\n";
  if (which == "utf8") return "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\xc3\x28\xff\"}}]}\n\n";
  return "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\n\n";
}

}  // namespace

/// True: the answer goes on.
bool Playback::Strike() {
  const Program& program = *performance_.program;
  armed_ = false;
  if (program.wire) return StrikeWire();
  switch (program.fault) {
    case Fault::kStatus: Refuse(program.status, kBroke); return false;
    case Fault::kHtml:
      SendReply(heads_, *performance_.stream, TraitsOf(performance_.facts->kind), 200, "text/html; charset=utf-8",
                SharedBytes::Copy(kHtml));
      stage_ = Stage::kOver;
      return false;
    case Fault::kSilence: return Silent();
    case Fault::kStall:
      if (program.ms == 0) return Silent();
      first_due_ = first_due_ + std::chrono::milliseconds(program.ms);
      return Pause(program.ms);
    case Fault::kEnd: EnsureHead(); return streamed_ ? End() : Cut();
    case Fault::kCut: EnsureHead(); return Cut();
    case Fault::kSplit: return Split();
    case Fault::kError: return FailInBand();
    case Fault::kMalformed:
      EnsureHead();
      body().Append(MalformedEvent(program.which));
      return true;
    case Fault::kEndless:
      EnsureHead();
      if (!streamed_ || writer_ == nullptr) return Cut();  // its length is announced
      body().Append("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"");
      stage_ = Stage::kEndless;
      return true;
    case Fault::kSlow: return BeginDrip();
    default: return true;
  }
}

/// Half an event, then the end.
bool Playback::Split() {
  EnsureHead();
  if (!streamed_ || writer_ == nullptr) return Cut();
  Chain event(worker_.chunks());
  writer_->Token(event, next_);
  std::size_t left = event.size() / 2;
  while (left != 0) {
    const std::string_view piece = event.Front().substr(0, left);
    body().Append(piece);
    left -= piece.size();
    event.Consume(piece.size());
  }
  const std::string_view which = performance_.program->which;
  if (which == "end") return End();
  if (which == "reset" && performance_.wire != nullptr) {
    performance_.wire->Reset(performance_.program->code);
    stage_ = Stage::kOver;
    return false;
  }
  return Cut();
}

bool Playback::FailInBand() {
  const Program& program = *performance_.program;
  if (!streamed_ || writer_ == nullptr) {
    if (head_sent_) return Cut();
    Refuse(program.status, kBroke);
    return false;
  }
  EnsureHead();
  writer_->Error(body(), program.status, program.text.empty() ? kBroke : std::string_view(program.text));
  return End();
}

/// What is left of the answer leaves a few bytes at a time.
bool Playback::BeginDrip() {
  EnsureHead();
  if (streamed_ && writer_ != nullptr) {
    if (stage_ == Stage::kHead) writer_->Begin(whole_);
    while (next_ < performance_.facts->tokens) writer_->Token(whole_, next_++);
    writer_->Finish(whole_);
  }
  stage_ = Stage::kDrip;
  return true;
}

bool Playback::StrikeWire() {
  const Program& program = *performance_.program;
  Wire& wire = *performance_.wire;
  switch (program.fault) {
    case Fault::kReset:
      if (answered_ && wire.http2()) {
        // The stream is over for the codec: the frame goes out by itself (FAULTS U-22).
        std::string payload, frame;
        AppendUint32(payload, program.code);
        AppendFrame(frame, FrameType::kReset, 0, wire.stream_id(), payload);
        wire.Raw(frame);
        return false;
      }
      wire.Reset(program.code);
      stage_ = Stage::kOver;
      return false;
    case Fault::kClose:
      wire.CloseConnection();
      stage_ = Stage::kOver;
      return false;
    case Fault::kScript:
      script_ = wire.http2() ? MakeH2Script(program, streamed_, wire.stream_id()) : MakeH1Script(program, streamed_);
      if (script_.empty()) {
        Refuse(501, "this protocol has no such fault");
        return false;
      }
      next_ = 0;
      stage_ = Stage::kScript;
      return true;
    default: break;
  }
  if (program.fault == Fault::kGoaway) return StrikeGoaway();
  if (program.fault == Fault::kMaxStreams) {
    wire.Raw(MakeMaxStreams(program.count));
  } else {
    EnsureHead();
    wire.Raw(MakeFlood(program, wire.stream_id()));
  }
  return Pause(1);  // raw bytes leave at the end of the turn: what follows them belongs to the next
}

bool Playback::StrikeGoaway() {
  const Program& program = *performance_.program;
  Wire& wire = *performance_.wire;
  if (program.which == "two-step" && goaway_step_ == 0) {
    goaway_step_ = 1;
    armed_ = true;
    wire.Raw(MakeGoaway(0x7fffffff, 0));
    return Pause(program.ms != 0 ? program.ms : kGoawayGapMs);
  }
  std::int64_t last = program.last;
  if (last == -1) last = wire.stream_id();
  if (last == -2) last = wire.stream_id() - 2;
  wire.Raw(MakeGoaway(std::max<std::int64_t>(last, 0), program.code));
  if (last < wire.stream_id()) return Silent();  // the client must not expect this one to be answered
  return Pause(1);
}

}  // namespace penstock::sim
