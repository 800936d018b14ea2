#pragma once

#include <string>

namespace penstock::http {

/// 12 fields, 579 bytes: an OpenAI client's request as it comes.
inline const std::string kRequestHead =
    "POST /v1/chat/completions HTTP/1.1\r\n"
    "Host: gateway.example.com\r\n"
    "Accept: application/json\r\n"
    "Accept-Encoding: gzip, deflate\r\n"
    "Connection: keep-alive\r\n"
    "Content-Type: application/json\r\n"
    "User-Agent: AsyncOpenAI/Python 1.35.3 (Linux; x86_64)\r\n"
    "Authorization: Bearer sk-proj-4f9ac2d7e61b4a58b0f3c9d2a7e85b14c0d9e2f7a6b3d81e5c7f90a2b4d6e8f1a3c5\r\n"
    "X-Stainless-Lang: python\r\n"
    "X-Stainless-Runtime-Version: 3.11.8\r\n"
    "Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
    "X-Request-Id: 7d9f0e62-4b4c-4b0e-9d67-0c5a1f3e8b21-attempt-000001-of-the-night-batch-0017\r\n"
    "Content-Length: 512\r\n\r\n";
inline const std::string kRequest = kRequestHead + std::string(512, 'b');

}  // namespace penstock::http
