#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "penstock/base/time.hpp"
#include "penstock/grpc/status.hpp"
#include "penstock/http/head.hpp"

namespace penstock::grpc {

/// What a request's content-type says (gRPC over HTTP/2, "Content-Type"; FAULTS Q-15).
enum class ContentType : std::uint8_t {
  kNone,   ///< not gRPC's
  kProto,  ///< application/grpc, application/grpc+proto, with or without parameters
  kOther,  ///< application/grpc+json and the like: gRPC, but a coding that is not served (12)
};
ContentType ContentTypeOf(std::string_view value) noexcept;

/// grpc-timeout: at most eight digits and one of H M S m u n. Nothing: malformed (FAULTS Q-17). Huge ones are capped
/// at Duration's largest.
std::optional<Duration> ParseTimeout(std::string_view value) noexcept;

/// The value of a `-bin` field: base64 with or without padding; several joined by commas are several values, of which
/// this takes one. Nothing: no base64.
std::optional<std::string> DecodeBinary(std::string_view value);
/// Without padding.
void AppendBinary(std::string& out, std::string_view bytes);

/// Fields of gRPC itself, which never go anywhere as metadata: "grpc-*", te, content-type, user-agent and pseudo ones.
bool IsReserved(std::string_view name) noexcept;

/// Message codings: `identity` and `gzip` are served.
enum class Coding : std::uint8_t { kIdentity, kGzip };
/// grpc-encoding. An absent (empty) field is identity; nothing: a coding that is not served (12, FAULTS Q-10).
std::optional<Coding> ParseCoding(std::string_view value) noexcept;
/// Does grpc-accept-encoding, a comma-separated list, hold `coding`? Identity always.
bool Accepts(std::string_view list, Coding coding) noexcept;
inline constexpr std::string_view kAcceptedCodings = "identity,gzip";

/// Adds grpc-status, grpc-message (when there is one) and grpc-status-details-bin (when there is a reason).
void AddStatus(http::Head& trailers, const Status& status);

}  // namespace penstock::grpc
