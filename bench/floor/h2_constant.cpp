// The floor of every HTTP/2 figure: nghttp2, epoll, one thread, and a constant 1 KiB answer to whatever is asked.
//   bench_floor_h2 --port 8099 [--grpc]        then e.g.  h2load -n 200000 -c 50 -m 10 -d body.json
//   http://127.0.0.1:8099/
// --grpc: the constant is one message, and trailers follow: what a gRPC server of these sizes costs at least.
// It is deliberately as bare as a correct server can be: no limits, no budgets, no timeouts. Not for use.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

namespace {

constexpr std::size_t kAnswerBytes = 1024;
constexpr std::size_t kPrefixBytes = 5;  // of a gRPC message
constexpr std::size_t kReadBytes = 64 * 1024;
constexpr std::size_t kWriteBytes = 64 * 1024;

bool as_grpc = false;

std::vector<std::uint8_t> MakeBody() {
  std::vector<std::uint8_t> body(kAnswerBytes + (as_grpc ? kPrefixBytes : 0), 'x');
  if (as_grpc) {
    const std::uint8_t prefix[kPrefixBytes] = {0, 0, 0, kAnswerBytes >> 8, kAnswerBytes & 255};
    std::copy(std::begin(prefix), std::end(prefix), body.begin());
  }
  return body;
}

[[noreturn]] void Fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

nghttp2_nv Field(std::string_view name, std::string_view value) {
  return {reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
          NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

ssize_t ReadBody(nghttp2_session* session, std::int32_t stream, std::uint8_t* to, std::size_t capacity,
                 std::uint32_t* flags, nghttp2_data_source* source, void*) {
  static const std::vector<std::uint8_t> kBody = MakeBody();
  const auto sent = static_cast<std::size_t>(source->fd);  // the stream's progress, kept in its data source
  const std::size_t bytes = std::min(capacity, kBody.size() - sent);
  std::memcpy(to, kBody.data() + sent, bytes);
  source->fd = static_cast<int>(sent + bytes);
  if (sent + bytes < kBody.size()) return static_cast<ssize_t>(bytes);
  *flags |= NGHTTP2_DATA_FLAG_EOF;
  if (as_grpc) {
    *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    const nghttp2_nv status = Field("grpc-status", "0");
    if (nghttp2_submit_trailer(session, stream, &status, 1) != 0) return NGHTTP2_ERR_CALLBACK_FAILURE;
  }
  return static_cast<ssize_t>(bytes);
}

int OnFrame(nghttp2_session* session, const nghttp2_frame* frame, void*) {
  const bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  if (!ends || (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)) return 0;
  const nghttp2_nv fields[] = {Field(":status", "200"),
                               Field("content-type", as_grpc ? "application/grpc" : "application/json"),
                               Field("content-length", "1024")};
  nghttp2_data_provider body{};
  body.read_callback = ReadBody;
  return nghttp2_submit_response(session, frame->hd.stream_id, fields, as_grpc ? 2 : 3, &body) == 0
             ? 0
             : NGHTTP2_ERR_CALLBACK_FAILURE;
}

const nghttp2_session_callbacks* Callbacks() {
  static nghttp2_session_callbacks* callbacks = [] {
    nghttp2_session_callbacks* made = nullptr;
    if (nghttp2_session_callbacks_new(&made) != 0) std::exit(1);
    nghttp2_session_callbacks_set_on_frame_recv_callback(made, OnFrame);
    return made;
  }();
  return callbacks;
}

class Connection {
 public:
  Connection(int socket, int epoll) : socket_(socket), epoll_(epoll) {
    if (nghttp2_session_server_new(&session_, Callbacks(), nullptr) != 0) std::exit(1);
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1000}};
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings));
    nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, 1 << 20);
  }
  ~Connection() {
    nghttp2_session_del(session_);
    close(socket_);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// False: the connection is over.
  bool OnReadable() {
    static std::uint8_t buffer[kReadBytes];
    const ssize_t size = read(socket_, buffer, sizeof buffer);
    if (size < 0) return errno == EAGAIN || errno == EINTR;
    if (size == 0) return false;
    if (nghttp2_session_mem_recv(session_, buffer, static_cast<std::size_t>(size)) < 0) return false;
    return OnWritable();
  }
  bool OnWritable() {
    for (;;) {
      if (begin_ == end_ && !Collect()) return false;
      if (begin_ == end_) break;
      const ssize_t size = write(socket_, out_ + begin_, end_ - begin_);
      if (size < 0) {
        if (errno != EAGAIN) return false;
        WaitToWrite(true);
        return true;
      }
      begin_ += static_cast<std::size_t>(size);
    }
    WaitToWrite(false);
    return nghttp2_session_want_read(session_) != 0 || nghttp2_session_want_write(session_) != 0;
  }

 private:
  bool Collect() {
    begin_ = end_ = 0;
    while (end_ + pending_size_ <= kWriteBytes) {
      std::memcpy(out_ + end_, pending_, pending_size_);
      end_ += pending_size_;
      const ssize_t size = nghttp2_session_mem_send(session_, &pending_);
      if (size < 0) return false;
      pending_size_ = static_cast<std::size_t>(size);
      if (size == 0) break;
    }
    return true;
  }
  void WaitToWrite(bool wait) {
    if (wait == waiting_) return;
    waiting_ = wait;
    epoll_event event{};
    event.events = EPOLLIN | (wait ? static_cast<std::uint32_t>(EPOLLOUT) : 0u);
    event.data.ptr = this;
    epoll_ctl(epoll_, EPOLL_CTL_MOD, socket_, &event);
  }

  int socket_;
  int epoll_;
  nghttp2_session* session_ = nullptr;
  const std::uint8_t* pending_ = out_;  ///< a frame that did not fit into the last write
  std::size_t pending_size_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool waiting_ = false;
  std::uint8_t out_[kWriteBytes];
};

int Listen(std::uint16_t port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) Fail("bind");
  if (listen(socket, 1024) != 0) Fail("listen");
  return socket;
}

void Accept(int listener, int epoll) {
  for (;;) {
    const int socket = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket < 0) return;
    const int on = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = new Connection(socket, epoll);
    epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &event);
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::uint16_t port = 8099;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--grpc") {
      as_grpc = true;
    } else if (word == "--port" && i + 1 < argc) {
      ++i;
      std::from_chars(argv[i], argv[i] + std::strlen(argv[i]), port);
    } else {
      std::fprintf(stderr, "usage: %s [--port N] [--grpc]\n", argv[0]);
      return 2;
    }
  }
  const int listener = Listen(port);
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;
  epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
  std::printf("listening on 127.0.0.1:%u\n", port);
  std::fflush(stdout);
  epoll_event events[256];
  for (;;) {
    const int count = epoll_wait(epoll, events, std::size(events), -1);
    if (count < 0 && errno != EINTR) Fail("epoll_wait");
    for (int i = 0; i < count; ++i) {
      if (events[i].data.ptr == nullptr) {
        Accept(listener, epoll);
        continue;
      }
      auto* connection = static_cast<Connection*>(events[i].data.ptr);
      const bool alive = (events[i].events & EPOLLOUT) != 0 ? connection->OnWritable() : connection->OnReadable();
      if (!alive) delete connection;
    }
  }
}
