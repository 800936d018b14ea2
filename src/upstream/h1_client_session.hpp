#pragma once

#include "penstock/http/h1_client_codec.hpp"
#include "upstream/connection.hpp"

namespace penstock::upstream {

/// Owned by one Worker. HTTP/1.1 on one upstream connection: one exchange at a time, never pipelined (llama-server
/// loses pipelined requests).
class H1ClientSession final : public ClientSession, private http::H1ClientHandler {
 public:
  H1ClientSession(Connection& connection, http::HeadPool& heads);

  std::size_t room() const noexcept override { return free_ && !closing_ ? 1 : 0; }
  bool idle() const noexcept override { return free_; }
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

 private:
  void OnResponse(http::HeadPtr head) override;
  void OnBody(std::string_view bytes) override;
  void OnEnd() override;
  void OnError(const Error& error, const char* reason) override;

  bool WriteBody();
  void Fail(const Error& error);
  void Release();

  Connection& connection_;
  http::H1ClientCodec codec_;
  Stream* stream_ = nullptr;
  bool free_ = true;          ///< no exchange, not even its last bytes
  bool used_ = false;         ///< carried an exchange before
  bool touched_ = false;      ///< the first byte of the request may have left
  bool body_written_ = true;  ///< all of the request is in the transport's chain
  bool sent_ = true;          ///< and left it
  bool ended_ = false;        ///< the response is complete; the stream was told
  bool chunked_ = false;
  bool paused_ = false;
  bool closing_ = false;
};

}  // namespace penstock::upstream
