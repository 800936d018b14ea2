#pragma once

namespace penstock::app {

/// `penstock key new`: a key of 256 random bits on stdout, once, and the entry for `auth.keys` that knows it.
int NewKey();
/// `penstock key hash`: the digest of the key on stdin's first line; it is no argument, because arguments are seen by
/// others.
int HashKey();

}  // namespace penstock::app
