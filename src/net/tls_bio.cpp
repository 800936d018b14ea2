#include "net/tls_bio.hpp"

#include "net/tls_stream.hpp"
#include "penstock/base/assert.hpp"

namespace penstock::net {
namespace {

TlsStream& StreamOf(BIO* bio) { return *static_cast<TlsStream*>(BIO_get_data(bio)); }

int ReadBio(BIO* bio, char* to, int capacity) {
  BIO_clear_retry_flags(bio);
  const int n = capacity <= 0 ? 0 : StreamOf(bio).TakeCiphertext(to, static_cast<std::size_t>(capacity));
  if (n > 0) return n;
  BIO_set_retry_read(bio);
  return -1;
}

int WriteBio(BIO* bio, const char* from, int size) {
  BIO_clear_retry_flags(bio);
  if (size > 0) StreamOf(bio).PutCiphertext({from, static_cast<std::size_t>(size)});
  return size;
}

long ControlBio(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

int CreateBio(BIO* bio) {
  BIO_set_init(bio, 1);
  return 1;
}

BIO_METHOD* MakeMethod() {
  BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "penstock stream");
  PENSTOCK_ASSERT(method != nullptr);
  BIO_meth_set_read(method, &ReadBio);
  BIO_meth_set_write(method, &WriteBio);
  BIO_meth_set_ctrl(method, &ControlBio);
  BIO_meth_set_create(method, &CreateBio);
  return method;
}

}  // namespace

BIO* NewStreamBio(TlsStream& stream) {
  static BIO_METHOD* const kMethod = MakeMethod();
  BIO* bio = BIO_new(kMethod);
  PENSTOCK_ASSERT(bio != nullptr);
  BIO_set_data(bio, &stream);
  return bio;
}

}  // namespace penstock::net
