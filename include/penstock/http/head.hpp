#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace penstock::http {

enum class Method : std::uint8_t { kGet, kHead, kPost, kPut, kDelete, kConnect, kOptions, kTrace, kPatch, kOther };
enum class Version : std::uint8_t { kHttp10, kHttp11, kHttp2 };

/// Fields that the gateway itself looks at; everything else is kOther and met by name only.
enum class HeaderId : std::uint8_t {
  kOther,
  kAccept,
  kAcceptEncoding,
  kAge,
  kAuthorization,
  kCacheControl,
  kConnection,
  kContentEncoding,
  kContentLength,
  kContentType,
  kCookie,
  kDate,
  kExpect,
  kForwarded,
  kHost,
  kKeepAlive,
  kProxyConnection,
  kRequestId,
  kRetryAfter,
  kRetryAfterMs,
  kServer,
  kServerTiming,
  kSetCookie,
  kTe,
  kTraceparent,
  kTracestate,
  kTrailer,
  kTransferEncoding,
  kUpgrade,
  kUserAgent,
  kVary,
  kXApiKey,
  kXForwardedFor,
  kXRequestId,
  kXPenstockCache,
  kXPenstockCacheKey,
  kXPenstockModel,
  kXPenstockPriority,
  kXPenstockTimeoutMs,
};
inline constexpr std::size_t kHeaderIds = static_cast<std::size_t>(HeaderId::kXPenstockTimeoutMs) + 1;

/// `name` must be in lower case. One hash and one compare.
HeaderId LookupHeader(std::string_view name) noexcept;
/// Its lower-case name, which lasts for ever; empty for kOther.
std::string_view HeaderName(HeaderId id) noexcept;
Method LookupMethod(std::string_view text) noexcept;  ///< case-sensitive (RFC 9110 9.1)

/// How the body that follows a head is delimited on the wire it came from or goes to.
enum class Framing : std::uint8_t { kNone, kLength, kChunked, kUntilClose, kStream /* HTTP/2 */ };

/// Owned by one Worker. A request's or a response's head: pseudo parts and fields in order, names in lower case,
/// values without surrounding white space. All bytes lie in one growing store, so views are valid until the next
/// change; clearing keeps the capacity, so a pooled head costs no allocation.
class Head {
 public:
  struct Field {
    std::string_view name;
    std::string_view value;
    HeaderId id;
  };

  void Clear() noexcept;

  // Parts. The setters copy.
  Version version = Version::kHttp11;
  Method method = Method::kGet;
  std::uint16_t status = 0;                     ///< responses
  Framing framing = Framing::kNone;             ///< of the body behind this head, as received
  std::optional<std::uint64_t> content_length;  ///< announced, when there was one
  void set_method_text(std::string_view text) { method_text_ = Store(text); }
  void set_scheme(std::string_view text) { scheme_ = Store(text); }
  void set_authority(std::string_view text) { authority_ = Store(text); }
  void set_target(std::string_view text) { target_ = Store(text); }
  void set_target(std::string_view path, std::string_view prefix);  ///< prefix + path
  std::string_view method_text() const noexcept { return At(method_text_); }
  std::string_view scheme() const noexcept { return At(scheme_); }
  std::string_view authority() const noexcept { return At(authority_); }
  std::string_view target() const noexcept { return At(target_); }  ///< path and query, as sent

  // Fields.
  void Add(std::string_view name, std::string_view value) { Add(name, value, LookupHeader(name)); }
  void Add(std::string_view name, std::string_view value, HeaderId id);
  std::size_t size() const noexcept { return fields_.size(); }
  Field field(std::size_t i) const noexcept;
  /// The first field of that id (never kOther); a null view where there is none.
  std::string_view Find(HeaderId id) const noexcept;
  bool Has(HeaderId id) const noexcept { return first_[static_cast<std::size_t>(id)] != 0; }
  std::size_t Count(HeaderId id) const noexcept;
  std::string_view Find(std::string_view name) const noexcept;
  void Remove(HeaderId id) noexcept;

  /// Bytes as HTTP/2 counts them: name + value + 32 each (RFC 9113 6.5.2), pseudo parts excluded.
  std::size_t list_bytes() const noexcept { return list_bytes_; }

 private:
  struct Slice {
    std::uint32_t begin = 0;
    std::uint32_t size = 0;
  };
  struct Entry {
    Slice name;
    Slice value;
    HeaderId id;
  };
  friend class H1HeadReader;  // appends the bytes as received and lets parts and fields refer into them
  friend struct HeadReturn;
  /// Bytes behind the last one that may be read, and written back unchanged, so that scans go by whole SIMD blocks.
  static constexpr std::size_t kSlack = 32;
  /// Makes room; returns the block that was replaced, for it may hold what is about to be appended.
  std::unique_ptr<char[]> Reserve(std::size_t more) {
    if (more <= bytes_capacity_ - bytes_size_ && bytes_ != nullptr) return nullptr;
    return Grow(more);
  }
  std::unique_ptr<char[]> Grow(std::size_t more);
  void AppendRaw(std::string_view text);
  Slice Store(std::string_view text);
  Slice Within(std::string_view view) const noexcept {
    return {static_cast<std::uint32_t>(view.data() - bytes_.get()), static_cast<std::uint32_t>(view.size())};
  }
  void AddWithin(std::string_view name, std::string_view value, HeaderId id) {
    fields_.push_back(Entry{Within(name), Within(value), id});
    list_bytes_ += name.size() + value.size() + 32;
    std::uint16_t& first = first_[static_cast<std::size_t>(id)];
    if (first == 0) first = static_cast<std::uint16_t>(fields_.size());
  }
  std::string_view At(Slice slice) const noexcept { return {bytes_.get() + slice.begin, slice.size}; }

  std::unique_ptr<char[]> bytes_;  ///< not a vector: appended to without clearing, with readable slack behind
  std::uint32_t bytes_size_ = 0;
  std::uint32_t bytes_capacity_ = 0;
  std::vector<Entry> fields_;
  Slice method_text_, scheme_, authority_, target_;
  std::size_t list_bytes_ = 0;
  std::uint16_t first_[kHeaderIds] = {};  ///< index + 1 of the first field with that id
};

class HeadPool;
struct HeadReturn {
  HeadPool* pool = nullptr;
  void operator()(Head* head) const noexcept;
};
/// A head on loan from its worker's pool.
using HeadPtr = std::unique_ptr<Head, HeadReturn>;

/// Owned by one Worker. Recycles heads; one that grew beyond 64 KiB is given back to the system. Outlives its heads.
class HeadPool {
 public:
  explicit HeadPool(std::size_t free_max = 1024) : free_max_(free_max) {}
  HeadPtr Take();

 private:
  friend struct HeadReturn;
  std::vector<std::unique_ptr<Head>> free_;
  std::size_t free_max_;
};

}  // namespace penstock::http
