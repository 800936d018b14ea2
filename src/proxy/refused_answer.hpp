#pragma once

#include <string>

#include "proxy/answer.hpp"

namespace penstock::proxy {

/// Answers with an upstream's own error, in the client's family's shape.
void ReplyRefusal(RequestContext& context, Answer& answer, const http::Head& head, const std::string& body);
/// The same for one whose head is another request's.
void ReplyRefusal(RequestContext& context, Answer& answer, std::uint16_t status, const std::string& body);

}  // namespace penstock::proxy
