#pragma once

#include "penstock/base/error.hpp"

namespace penstock::http {

/// Immutable. Why a message is refused. `reason` is the metric label, `context` is for people.
struct H1Verdict {
  ErrorCode code;
  const char* reason;
  const char* context;
};

/// Every verdict there is; parsers return the address of one, or null for "nothing wrong".
namespace verdict {

inline constexpr H1Verdict kMethod{ErrorCode::kBadRequest, "method", "malformed method"};
inline constexpr H1Verdict kRequestLine{ErrorCode::kBadRequest, "request_line", "malformed request line"};
inline constexpr H1Verdict kVersion{ErrorCode::kHttpVersion, "version", "HTTP version not supported"};
inline constexpr H1Verdict kTarget{ErrorCode::kBadRequest, "target", "malformed request target"};
inline constexpr H1Verdict kUriLength{ErrorCode::kUriTooLong, "uri_length", "request target too long"};
inline constexpr H1Verdict kMethodRefused{ErrorCode::kMethodNotAllowed, "method_refused",
                                          "CONNECT and TRACE are not served"};
inline constexpr H1Verdict kStatusLine{ErrorCode::kBadRequest, "status_line", "malformed status line"};
inline constexpr H1Verdict kLineEnding{ErrorCode::kBadRequest, "line_ending", "a line does not end in CRLF"};
inline constexpr H1Verdict kControlByte{ErrorCode::kBadRequest, "control_byte",
                                        "control character in the message head"};
inline constexpr H1Verdict kObsFold{ErrorCode::kBadRequest, "obs_fold", "white space at the beginning of a field line"};
inline constexpr H1Verdict kFieldName{ErrorCode::kBadRequest, "field_name", "malformed field name"};
inline constexpr H1Verdict kHost{ErrorCode::kBadRequest, "host", "host missing, repeated or malformed"};
inline constexpr H1Verdict kContentLength{ErrorCode::kBadRequest, "content_length",
                                          "malformed or repeated content-length"};
inline constexpr H1Verdict kTransferEncoding{ErrorCode::kBadRequest, "transfer_encoding",
                                             "malformed or repeated transfer-encoding"};
inline constexpr H1Verdict kTransferCoding{ErrorCode::kTransferCoding, "transfer_coding",
                                           "transfer coding not supported"};
inline constexpr H1Verdict kFraming{ErrorCode::kBadRequest, "framing",
                                    "content-length and transfer-encoding contradict, or the version forbids one"};
inline constexpr H1Verdict kExpectation{ErrorCode::kExpectationFailed, "expectation", "expectation not supported"};
inline constexpr H1Verdict kHeaderBytes{ErrorCode::kHeadersTooLarge, "header_bytes", "header section too large"};
inline constexpr H1Verdict kHeaderCount{ErrorCode::kHeadersTooLarge, "header_count", "too many fields"};
inline constexpr H1Verdict kBodyLength{ErrorCode::kBodyTooLarge, "body_length", "body too large"};
inline constexpr H1Verdict kChunkSize{ErrorCode::kBadRequest, "chunk_size", "malformed chunk size"};
inline constexpr H1Verdict kChunkExtension{ErrorCode::kBadRequest, "chunk_extension",
                                           "malformed or oversized chunk extension"};
inline constexpr H1Verdict kChunkEnd{ErrorCode::kBadRequest, "chunk_end", "a chunk does not end in CRLF"};
inline constexpr H1Verdict kTrailer{ErrorCode::kBadRequest, "trailer", "malformed, forbidden or oversized trailers"};
inline constexpr H1Verdict kInterim{ErrorCode::kBadRequest, "interim",
                                    "too many interim responses, or an unasked-for upgrade"};
inline constexpr H1Verdict kUnexpectedBody{ErrorCode::kBadRequest, "unexpected_body",
                                           "bytes behind a response that has no body"};

}  // namespace verdict
}  // namespace penstock::http
