#pragma once

#include <utility>

#include "penstock/http/h2_codec.hpp"
#include "upstream/connection.hpp"

namespace penstock::upstream {

/// Owned by one Worker. HTTP/2 on one upstream connection: many streams, each with its own window; the connection's
/// window is always credited (FAULTS C-09). A silent peer with streams open is pinged (FAULTS U-25).
class H2ClientSession final : public ClientSession, private http::H2ConnectionHandler {
 public:
  H2ClientSession(Connection& connection, http::HeadPool& heads, http::H2Memory& memory);
  ~H2ClientSession() override;

  std::size_t room() const noexcept override;
  bool idle() const noexcept override { return open_ == 0; }
  void Start(Stream& stream) override;
  void Cancel(Stream& stream) override;
  void SetPaused(Stream& stream, bool paused) override;
  void Retire() override;

  void OnData(std::string_view bytes) override;
  void OnFin() override;
  void OnLost(const Error& error) override;
  void OnTimer() override;
  void Flush() override;
  void OnIdle() override;

  // For Stream.
  /// Calls `handler`, which may end the stream and its owner: false then.
  template <typename Handler>
  bool Deliver(Stream& stream, Handler handler) {
    delivering_ = &stream;
    handler();
    return std::exchange(delivering_, nullptr) != nullptr;
  }
  void Credit(Stream& stream);
  void GrowWindow(Stream& stream);
  void Closed(Stream& stream) noexcept;
  void Abandon(Stream& stream, http::H2Error code);  ///< resets it; no call follows

 private:
  http::H2StreamHandler* OnRequest(std::int32_t stream, http::HeadPtr head, bool end) override;
  http::H2StreamHandler* OnReject(std::int32_t stream, http::HeadPtr head, bool end, const Error& error,
                                  const char* reason) override;
  void OnGoaway(http::H2Error code) override;
  void OnSettings() override;
  void OnPingAck() override { ping_out_ = false; }

  void Drop(const Error& error);
  void CloseIfDone();

  Connection& connection_;
  http::H2Codec codec_;
  std::vector<Stream*> streams_;  ///< of this connection; bounded by max_streams
  std::size_t open_ = 0;
  const Stream* delivering_ = nullptr;  ///< whose handler is being called
  bool going_away_ = false;
  bool dead_ = false;
  bool ping_out_ = false;
  bool used_ = false;  ///< carried a stream before the peer was idle last
  bool heard_ = true;  ///< a byte came since then
  TimePoint last_data_{};
};

}  // namespace penstock::upstream
