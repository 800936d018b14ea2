#include "proxy/cached_answer.hpp"

#include "penstock/llm/answer_writer.hpp"
#include "penstock/llm/event_writer.hpp"
#include "penstock/llm/replay.hpp"
#include "proxy/cache_key.hpp"
#include "proxy/grpc/stored_messages.hpp"
#include "proxy/header_rules.hpp"
#include "proxy/text.hpp"

namespace penstock::proxy {
namespace {

constexpr std::string_view kWholeType = "application/json";
constexpr std::string_view kEventsType = "text/event-stream";

Duration AgeOf(const RequestContext& context, const cache::Entry& entry) noexcept {
  return std::chrono::microseconds(context.worker.worker.Wall().us - entry.stored_at.us);
}

}  // namespace

bool HasOtherForm(const RequestContext& context, const cache::Entry& entry) noexcept {
  return entry.form != WantedForm(context) && llm::CanStream(entry.family);
}

std::optional<cache::Entry> Rebuilt(RequestContext& context, const cache::Entry& entry) {
  const std::size_t bytes_max = context.snapshot().config.server.limits.response_body;
  llm::JsonParser& json = context.worker.json;
  std::string out;
  const std::optional<Error> error =
      entry.form == cache::Form::kWhole
          ? llm::WriteEvents({entry.family, context.request->include_usage, bytes_max}, entry.bytes.view(), json, out)
          : llm::WriteAnswer(entry.family, entry.bytes.view(), bytes_max, json, out);
  if (error.has_value()) return std::nullopt;
  cache::Entry rebuilt = entry;
  rebuilt.form = WantedForm(context);
  rebuilt.usage = {};
  rebuilt.bytes = SharedBytes::Copy(out);
  return rebuilt;
}

std::string_view CacheStatusName(CacheStatus status) noexcept {
  switch (status) {
    case CacheStatus::kNone: return "";
    case CacheStatus::kHitMemory: return "hit-memory";
    case CacheStatus::kHitRedis: return "hit-redis";
    case CacheStatus::kHitDisk: return "hit-disk";
    case CacheStatus::kCoalesced: return "coalesced";
    case CacheStatus::kMiss: return "miss";
    case CacheStatus::kBypass: return "bypass";
  }
  return "";
}

namespace {

std::string_view TypeOf(cache::Form form) noexcept { return form == cache::Form::kEvents ? kEventsType : kWholeType; }

void CommitStored(RequestContext& context, Answer& answer, std::string_view type, std::optional<std::uint64_t> length,
                  std::optional<Duration> age) {
  http::HeadPtr head = context.worker.heads.Take();
  head->status = 200;
  head->Add("content-type", type, http::HeaderId::kContentType);
  // The answer is this tenant's alone, and this gateway keeps it already (FAULTS K-12).
  head->Add("cache-control", "private, no-store", http::HeaderId::kCacheControl);
  head->Add("vary", "Authorization", http::HeaderId::kVary);
  if (age.has_value()) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(*age).count();
    head->Add("age", Decimal(static_cast<std::uint64_t>(std::max<std::int64_t>(seconds, 0))).view(),
              http::HeaderId::kAge);
  }
  if (length.has_value()) SetContentLength(*head, *length);
  answer.CommitOwn(*head);
}

/// The entry of the request's key said in another way, made by `make` when nobody has wanted it yet.
template <class Make>
std::optional<cache::Entry> TwinOf(RequestContext& context, const cache::Entry& entry, cache::Twin which, Make make) {
  cache::Tiers& tiers = context.worker.tiers;
  const Digest& digest = context.cache.key->digest;
  const WallTime now = context.worker.worker.Wall();
  std::optional<cache::Entry> twin = tiers.FindTwin(digest, entry, which, now);
  if (twin.has_value()) return twin;
  twin = make();
  if (twin.has_value()) tiers.KeepTwin(digest, *twin, which, now);
  return twin;
}

std::optional<cache::Entry> OtherForm(RequestContext& context, const cache::Entry& entry) {
  const bool with_usage = context.request->include_usage;
  return TwinOf(context, entry, with_usage ? cache::Twin::kOtherFormWithUsage : cache::Twin::kOtherForm,
                [&] { return Rebuilt(context, entry); });
}

/// As the messages that a gRPC client gets.
std::optional<cache::Entry> Messages(RequestContext& context, const cache::Entry& entry) {
  const llm::RequestView& request = *context.request;
  if (request.stream != context.grpc->method->server_streams) return std::nullopt;
  const cache::Twin which = !request.stream         ? cache::Twin::kMessage
                            : request.include_usage ? cache::Twin::kMessagesWithUsage
                                                    : cache::Twin::kMessages;
  return TwinOf(context, entry, which, [&]() -> std::optional<cache::Entry> {
    std::optional<cache::Entry> made = HasOtherForm(context, entry) ? OtherForm(context, entry) : entry;
    if (!made.has_value()) return std::nullopt;
    const llm::ReplayPieces replay = llm::ReplayEvents(made->bytes.view(), made->usage, request.include_usage);
    const auto messages = MessagesOf(*context.grpc, request.stream, replay.pieces, context.worker.json);
    if (!messages.has_value()) return std::nullopt;
    made->bytes = SharedBytes::Copy(*messages);
    made->usage = {};
    return made;
  });
}

}  // namespace

void CommitShared(RequestContext& context, Answer& answer, cache::Form form, std::optional<std::uint64_t> length) {
  CommitStored(context, answer, TypeOf(form), length, std::nullopt);
}

bool AnswerFromEntry(RequestContext& context, Answer& answer, const cache::Entry& entry, CacheStatus status) {
  if (context.grpc != nullptr && HasCommonMessages(*context.grpc)) {
    const std::optional<cache::Entry> messages = Messages(context, entry);
    if (!messages.has_value()) return false;
    context.cache.status = status;
    context.grpc->messages = true;
    CommitStored(context, answer, kGrpcType, messages->bytes.view().size(), AgeOf(context, entry));
    answer.Append(messages->bytes, messages->bytes.view());
    answer.End();
    return true;
  }
  if (HasOtherForm(context, entry)) {
    const std::optional<cache::Entry> twin = OtherForm(context, entry);
    return twin.has_value() && AnswerFromEntry(context, answer, *twin, status);
  }
  context.cache.status = status;
  const llm::ReplayPieces replay = llm::ReplayEvents(entry.bytes.view(), entry.usage, context.request->include_usage);
  CommitStored(context, answer, TypeOf(entry.form), replay.size(), AgeOf(context, entry));
  for (const std::string_view piece : replay.pieces) answer.Append(entry.bytes, piece);
  answer.End();
  return true;
}

bool AnswerFromMemory(RequestContext& context, Answer& answer) {
  const WallTime now = context.worker.worker.Wall();
  const std::optional<cache::Entry> entry = context.worker.tiers.FindInMemory(context.cache.key->digest, now);
  return entry.has_value() && MayServe(context, *entry) &&
         AnswerFromEntry(context, answer, *entry, CacheStatus::kHitMemory);
}

bool MayServe(const RequestContext& context, const cache::Entry& entry) {
  return AgeOf(context, entry) < context.model->ttl && SumOfEpochs(context) == context.cache.epochs;
}

}  // namespace penstock::proxy
