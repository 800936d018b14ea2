#include "proxy/answer.hpp"

#include "penstock/base/assert.hpp"
#include "penstock/proxy/error_reply.hpp"
#include "proxy/header_rules.hpp"

namespace penstock::proxy {

Answer::Answer(RequestContext& context) : context_(context), held_(context.worker.worker.chunks()) {}

void Answer::Append(std::string_view bytes) {
  if (!committed_) {
    held_.Append(bytes);
    return;
  }
  if (context_.client == nullptr) return;
  context_.record.bytes_out += bytes.size();
  if (context_.told) context_.NoteAnswer(bytes);
  context_.client->body().Append(bytes);
  context_.client->BodyReady();
}

void Answer::Commit(std::optional<std::uint64_t> content_length) {
  PENSTOCK_ASSERT(!committed_ && upstream_head_ != nullptr);
  committed_ = true;
  if (context_.cache.lead.has_value()) context_.cache.lead->Commit(content_length);
  if (context_.client == nullptr) {
    held_.Clear();  // those who follow have it from the lead
    return;
  }
  http::HeadPtr head = context_.worker.heads.Take();
  head->status = upstream_head_->status;
  CopyResponseFields(*upstream_head_, *head);
  if (content_length.has_value()) SetContentLength(*head, *content_length);
  AddOwnFields(*head);
  const bool empty = content_length.has_value() && *content_length == 0;
  Send(*head, empty);
  context_.record.bytes_out += held_.size();
  if (context_.told) held_.ForEach([this](std::string_view piece) { context_.NoteAnswer(piece); });
  if (!held_.empty()) {
    context_.client->body().Append(std::move(held_));
    context_.client->BodyReady();
  }
}

void Answer::CommitWhole(std::string_view content_type, std::string_view body) {
  held_.Clear();
  held_.Append(body);
  upstream_head_->Remove(http::HeaderId::kContentType);
  upstream_head_->Add("content-type", content_type, http::HeaderId::kContentType);
  Commit(body.size());
  End();
}

void Answer::CommitOwn(http::Head& head) {
  PENSTOCK_ASSERT(!committed_);
  committed_ = true;
  if (context_.client == nullptr) return;
  AddOwnFields(head);
  Send(head, false);
}

void Answer::Append(const SharedBytes& bytes, std::string_view piece) {
  if (context_.client == nullptr) return;
  context_.record.bytes_out += piece.size();
  context_.client->body().Append(bytes, piece);
}

std::size_t Answer::AppendFrom(cache::Follower& follower, std::size_t bytes_max) {
  if (context_.client == nullptr) return 0;
  const std::size_t size = follower.Take(context_.client->body(), bytes_max, context_.request->include_usage);
  context_.record.bytes_out += size;
  if (size > 0) context_.client->BodyReady();
  return size;
}

void Answer::Detach(bool committed) noexcept {
  committed_ = committed;
  context_.client = nullptr;
}

void Answer::End() {
  if (context_.client != nullptr) context_.client->EndBody();
}

void Answer::Break(BreakPoint at, const Error& error) {
  if (context_.client == nullptr) return;
  if (context_.grpc != nullptr) {
    if (!context_.grpc->status.has_value()) context_.grpc->status = StatusOf(error);
    context_.client->CutBody();
    return;
  }
  std::string last_words = at == BreakPoint::kAnywhere ? "\n\n" : "";
  if (at != BreakPoint::kBody) last_words += ErrorEvent(context_.family(), error, context_.record.id());
  context_.record.bytes_out += last_words.size();
  context_.client->body().Append(last_words);
  context_.client->CutBody();
}

void Answer::Discard() {
  PENSTOCK_ASSERT(!committed_);
  upstream_head_.reset();
  held_.Clear();
}

void Answer::Reset() {
  upstream_head_.reset();
  held_.Clear();
  committed_ = false;
}

std::size_t Answer::backlog() const noexcept {
  return held_.size() + (committed_ && context_.client != nullptr ? context_.client->unsent() : 0);
}

void Answer::Reply(std::uint16_t status, std::string_view content_type, std::string_view body, Duration retry_after) {
  if (context_.client == nullptr) return;
  committed_ = true;
  http::HeadPtr head = context_.worker.heads.Take();
  head->status = status;
  head->Add("content-type", content_type, http::HeaderId::kContentType);
  SetContentLength(*head, body.size());
  if (retry_after > Duration::zero()) AddRetryAfter(*head, retry_after);
  if (status == 401) head->Add("www-authenticate", "Bearer");  // RFC 9110 15.5.2
  if (status == 405) head->Add("allow", AllowedMethods(context_.head->target()));
  AddOwnFields(*head);
  Send(*head, body.empty());
  context_.record.bytes_out += body.size();
  if (body.empty()) return;
  context_.client->body().Append(body);
  context_.client->EndBody();
}

void Answer::ReplyUpstream(const http::Head& upstream_head, std::string_view content_type, std::string_view body,
                           Duration pause) {
  if (context_.client == nullptr) return;
  committed_ = true;
  http::HeadPtr head = context_.worker.heads.Take();
  head->status = upstream_head.status;
  CopyResponseFields(upstream_head, *head);
  head->Remove(http::HeaderId::kContentType);
  head->Add("content-type", content_type, http::HeaderId::kContentType);
  SetContentLength(*head, body.size());
  if (head->status == 429 || head->status == 503) {
    // What the upstream asked for, as far as a client can follow it; a second where it said nothing.
    const auto wait = RetryAfterOf(upstream_head, context_.worker.worker.Wall());
    AddRetryAfter(*head, pause > Duration::zero() ? pause : wait.value_or(std::chrono::seconds(1)));
  }
  AddOwnFields(*head);
  Send(*head, body.empty());
  context_.record.bytes_out += body.size();
  if (body.empty()) return;
  context_.client->body().Append(body);
  context_.client->EndBody();
}

/// What every answer carries; CONTRACT section 4.
void Answer::AddOwnFields(http::Head& head) {
  const RequestRecord& record = context_.record;
  head.Add("x-request-id", record.id(), http::HeaderId::kXRequestId);
  if (context_.family() == llm::Family::kMessages) head.Add("request-id", record.id(), http::HeaderId::kRequestId);
  if (context_.model != nullptr) head.Add("x-penstock-model", context_.model->name, http::HeaderId::kXPenstockModel);
  if (const std::string_view cache = CacheStatusName(context_.cache.status); !cache.empty())
    head.Add("x-penstock-cache", cache, http::HeaderId::kXPenstockCache);
  // We did already, or know better: SDKs would ask again after any 5xx.
  if (head.status >= 400 && (record.attempts > 1 || record.hopeless)) head.Add("x-should-retry", "false");
  // The turn's own time would leave out the work of this turn: all there is, mostly.
  const Duration running = record.forwarded != TimePoint{} ? context_.now() - record.forwarded : Duration{};
  const Duration upstream = record.upstream_time + std::max(running, Duration{});
  const Duration total = context_.worker.worker.ReadClock() - record.began;
  ServerTiming timing(total - upstream - record.queued, upstream);
  head.Add("server-timing", timing.view(), http::HeaderId::kServerTiming);
  if (context_.view == nullptr || !context_.snapshot().config.server.expose_upstream) return;
  if (record.endpoint != nullptr) {
    head.Add("x-penstock-endpoint", record.endpoint->name());
    head.Add("x-penstock-attempts", Decimal(record.attempts).view());
  }
  if (context_.cache.key.has_value()) {
    const DigestHex key = ToHex(context_.cache.key->digest);  // what a purge by key takes
    head.Add("x-penstock-cache-key", std::string_view(key.data(), key.size()), http::HeaderId::kXPenstockCacheKey);
  }
}

void Answer::Send(http::Head& head, bool end) {
  context_.record.status = head.status;
  context_.client->SendHead(head, end);
}

}  // namespace penstock::proxy
