// A client of libgrpc++ with the code that protoc's own plugin generates, unmodified; grpc_clients_test.py says what it
// is to do and reads what it prints.
//
//   grpc_client ADDRESS chat|stream|error|deadline|cancel MODEL PROMPT

#include <google/rpc/error_details.pb.h>
#include <google/rpc/status.pb.h>
#include <grpc/support/time.h>
#include <grpcpp/grpcpp.h>
#include <penstock/v1/inference.grpc.pb.h>

#include <cstdio>
#include <string>

namespace {

using penstock::v1::Inference;

constexpr int kTokensMax = 4096;
constexpr int kDeadlineMs = 100;

void Print(const char* name, const std::string& value) { std::printf("%s: %s\n", name, value.c_str()); }

void PrintEnd(const grpc::Status& status) {
  Print("status", std::to_string(status.error_code()));
  Print("message", status.error_message());
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) return;
  for (const google::protobuf::Any& each : details.details()) {
    google::rpc::ErrorInfo reason;
    google::rpc::RetryInfo retry;
    if (each.UnpackTo(&reason)) {
      Print("reason", reason.reason());
      Print("domain", reason.domain());
    } else if (each.UnpackTo(&retry)) {
      Print("retry", std::to_string(retry.retry_delay().seconds()));
    }
  }
}

void Chat(Inference::Stub& stub, grpc::ClientContext& context, const penstock::v1::ChatRequest& request) {
  penstock::v1::ChatResponse answer;
  const grpc::Status status = stub.Chat(&context, request, &answer);
  if (status.ok()) {
    Print("text", answer.choices(0).message().content());
    Print("finish", answer.choices(0).finish_reason());
    Print("tokens", std::to_string(answer.usage().completion_tokens()));
    const auto& fields = context.GetServerInitialMetadata();
    if (const auto model = fields.find("x-penstock-model"); model != fields.end())
      Print("model", std::string(model->second.data(), model->second.size()));
  }
  PrintEnd(status);
}

void Stream(Inference::Stub& stub, grpc::ClientContext& context, const penstock::v1::ChatRequest& request,
            bool cancel) {
  const auto reader = stub.ChatStream(&context, request);
  penstock::v1::ChatChunk chunk;
  std::string text;
  int count = 0;
  while (reader->Read(&chunk)) {
    ++count;
    for (const penstock::v1::ChatChunkChoice& choice : chunk.choices()) text += choice.delta().content();
    if (cancel && !text.empty()) context.TryCancel();
  }
  Print("chunks", std::to_string(count));
  Print("text", text);
  PrintEnd(reader->Finish());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  const std::string what = argv[2];
  const auto stub = Inference::NewStub(grpc::CreateChannel(argv[1], grpc::InsecureChannelCredentials()));
  penstock::v1::ChatRequest request;
  request.set_model(argv[3]);
  request.set_max_tokens(kTokensMax);
  request.set_temperature(0);
  penstock::v1::Message& message = *request.add_messages();
  message.set_role(penstock::v1::ROLE_USER);
  message.set_content(argv[4]);
  grpc::ClientContext context;
  if (what == "deadline")
    context.set_deadline(gpr_time_add(gpr_now(GPR_CLOCK_REALTIME), gpr_time_from_millis(kDeadlineMs, GPR_TIMESPAN)));
  if (what == "stream" || what == "cancel") {
    Stream(*stub, context, request, what == "cancel");
  } else {
    Chat(*stub, context, request);
  }
  return 0;
}
