#pragma once

#include <openssl/bio.h>

namespace penstock::net {

class TlsStream;

/// A BIO whose far end is `stream`: reads from the ciphertext it was lent, writes to its socket or chain. Never blocks:
/// a read without ciphertext asks for a retry, a write always succeeds (the stream bounds what it keeps).
BIO* NewStreamBio(TlsStream& stream);

}  // namespace penstock::net
