#pragma once

#include <cstdint>
#include <string_view>

#include "grpc/byte_writer.hpp"

namespace penstock::grpc {

/// Appends `text` as a JSON string in its shortest form: only what RFC 8259 demands is escaped, by a letter where there
/// is one. False: it is no UTF-8.
bool WriteQuoted(ByteWriter& out, std::string_view text);

void WriteInteger(ByteWriter& out, std::int64_t value);
void WriteUnsigned(ByteWriter& out, std::uint64_t value);
/// Integers below 2^53 as such ("100000", not "1e+05": servers want integers in integers' places), anything else in the
/// shortest form that reads back as the same number. Finite numbers only.
void WriteReal(ByteWriter& out, double value);
void WriteReal(ByteWriter& out, float value);

/// As base64 with padding (RFC 4648, section 4), in quotes.
void WriteBytes(ByteWriter& out, std::string_view bytes);
/// Where the bytes that `text` stands for end when they are written to `to`, or null when it is no base64. Padding may
/// be absent. `to` has room for 3/4 of the text.
char* ReadBytes(std::string_view text, char* to) noexcept;

}  // namespace penstock::grpc
