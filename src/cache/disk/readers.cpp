#include "cache/disk/readers.hpp"

#include "cache/disk/record.hpp"

namespace penstock::cache::disk {
namespace {

constexpr const char* kFind =
    "SELECT e.tenant, e.model, e.kind, e.usage_at, e.usage_size, e.stored_at, "
    "e.expires_at, e.purges_heard,"
    " e.checksum, e.last_used, b.bytes FROM entries e CROSS JOIN bodies b ON b.id = e.body WHERE e.key = ?";
constexpr std::int64_t kMicrosecondsPerSecond = 1'000'000;

}  // namespace

void Readers::Start(unsigned threads, ReadNotes& notes) {
  notes_ = &notes;
  for (unsigned i = 0; i < threads; ++i) readers_.push_back(std::make_unique<Reader>());
  for (const auto& reader : readers_) reader->thread = std::thread([this, &reader = *reader] { Run(reader); });
}

void Readers::Stop() {
  std::deque<Question> left;
  {
    const std::lock_guard lock(mutex_);
    if (stop_) return;
    stop_ = true;
    left.swap(questions_);
  }
  wake_.notify_all();
  for (const Question& question : left) {
    Increment(counters_.misses);
    Answer(question, std::nullopt);
  }
  for (const auto& reader : readers_) reader->thread.join();
  for (const auto& reader : readers_) Close(*reader);
}

bool Readers::Ask(Question question) {
  {
    const std::lock_guard lock(mutex_);
    if (stop_ || questions_.size() >= DiskTier::kReadQueueMax) return false;
    questions_.push_back(std::move(question));
  }
  wake_.notify_one();
  return true;
}

void Readers::Answer(const Question& question, std::optional<Entry> entry) {
  question.worker->Post([found = question.found, entry = std::move(entry)] { found(entry); });
}

void Readers::Run(Reader& reader) {
  while (true) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return stop_ || !questions_.empty(); });
    if (stop_) return;
    const Question question = std::move(questions_.front());
    questions_.pop_front();
    lock.unlock();
    std::optional<Entry> entry = Find(reader, question);
    Increment(entry ? counters_.hits : counters_.misses);
    Answer(question, std::move(entry));
  }
}

std::optional<Entry> Readers::Find(Reader& reader, const Question& question) {
  const std::lock_guard lock(reader.mutex);
  Verdict verdict = Verdict::kRow;
  if (!reader.database.open()) {
    verdict = reader.database.Open(database_, Database::Mode::kRead);
    if (verdict == Verdict::kDone) verdict = reader.find.Prepare(reader.database, kFind);
    if (verdict != Verdict::kDone) {
      CountFailure(reader, verdict);
      Close(reader);
      return std::nullopt;
    }
  }
  verdict = reader.find.AddBlob(View(question.key)).Step();
  if (verdict == Verdict::kDone) return std::nullopt;
  if (verdict != Verdict::kRow) {
    CountFailure(reader, verdict);
    return std::nullopt;
  }
  const Record record{reader.find.Integer(0), reader.find.Integer(1), reader.find.Integer(2),
                      reader.find.Integer(3), reader.find.Integer(4), reader.find.Integer(5),
                      reader.find.Integer(6), reader.find.Integer(7), reader.find.Integer(8)};
  const std::int64_t used_s = reader.find.Integer(9);
  Entry entry;
  const bool sound = FromRecord(question.key, record, reader.find.Bytes(10), entry);
  reader.find.Reset();
  if (!sound) {
    Increment(counters_.corrupt);
    notes_->OnDamaged(question.key, record.checksum);
    return std::nullopt;
  }
  if (entry.scope != question.scope || !entry.fresh(question.now)) return std::nullopt;
  const std::int64_t now_s = question.now.us / kMicrosecondsPerSecond;
  if (now_s - used_s >= DiskTier::kTouchEveryS) notes_->OnUsed(question.key, now_s);
  return entry;
}

void Readers::CountFailure(const Reader& reader, Verdict verdict) {
  Increment(counters_.read_errors);
  if (verdict == Verdict::kCorrupt) {
    notes_->OnBroken();
  } else {
    notes_->OnReadFailed(reader.database.message());
  }
}

void Readers::Close(Reader& reader) noexcept {
  reader.find = Statement();
  reader.database.Close();
}

Readers::Aside::Aside(Readers& readers) {
  for (const auto& reader : readers.readers_) {
    locks_.emplace_back(reader->mutex);
    readers.Close(*reader);
  }
}

}  // namespace penstock::cache::disk
