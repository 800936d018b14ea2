#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <grpc/reflection/v1/reflection.pb.h>

#include <unordered_set>
#include <vector>

#include "grpc/parse_message.hpp"
#include "grpc/services.hpp"
#include "penstock/grpc/local_services.hpp"
#include "penstock/grpc/status.hpp"

namespace penstock::grpc {
namespace {

namespace pb = google::protobuf;
namespace reflection = ::grpc::reflection::v1;

void Fail(StatusCode code, const char* message, reflection::ServerReflectionResponse& answer) {
  answer.mutable_error_response()->set_error_code(static_cast<std::int32_t>(code));
  answer.mutable_error_response()->set_error_message(message);
}

/// A file, then what it imports: a client that can build a file from one answer need not ask again.
void AddFile(const pb::FileDescriptor* file, std::unordered_set<const pb::FileDescriptor*>& added,
             reflection::FileDescriptorResponse& files) {
  if (!added.insert(file).second) return;
  pb::FileDescriptorProto proto;
  file->CopyTo(&proto);
  proto.SerializeToString(files.add_file_descriptor_proto());
  for (int i = 0; i < file->dependency_count(); ++i) AddFile(file->dependency(i), added, files);
}

/// Null: not found; nor is what interoperability tests alone have.
void AnswerFile(const pb::FileDescriptor* file, reflection::ServerReflectionResponse& answer) {
  if (file == nullptr || file->package() == "grpc.testing") return Fail(StatusCode::kNotFound, "not found", answer);
  std::unordered_set<const pb::FileDescriptor*> added;
  AddFile(file, added, *answer.mutable_file_descriptor_response());
}

const pb::FileDescriptor* FileOfExtension(const reflection::ExtensionRequest& asked) {
  const pb::DescriptorPool& pool = *pb::DescriptorPool::generated_pool();
  const pb::Descriptor* const type = pool.FindMessageTypeByName(asked.containing_type());
  if (type == nullptr) return nullptr;
  const pb::FieldDescriptor* const extension = pool.FindExtensionByNumber(type, asked.extension_number());
  return extension == nullptr ? nullptr : extension->file();
}

void AnswerExtensionNumbers(const std::string& name, reflection::ServerReflectionResponse& answer) {
  const pb::DescriptorPool& pool = *pb::DescriptorPool::generated_pool();
  const pb::Descriptor* const type = pool.FindMessageTypeByName(name);
  if (type == nullptr) return Fail(StatusCode::kNotFound, "not found", answer);
  reflection::ExtensionNumberResponse& numbers = *answer.mutable_all_extension_numbers_response();
  numbers.set_base_type_name(name);
  std::vector<const pb::FieldDescriptor*> extensions;
  pool.FindAllExtensions(type, &extensions);
  for (const pb::FieldDescriptor* extension : extensions) numbers.add_extension_number(extension->number());
}

}  // namespace

// Every generated file is served, not the services' alone: tools also ask for the types of a status' details.
std::optional<Error> AnswerReflection(std::string_view request, std::string& out) {
  using Asked = reflection::ServerReflectionRequest;
  Asked asked;
  if (!ParseMessage(request, asked)) {
    return DownstreamError(ErrorCode::kBadRequest, "the message is no ServerReflectionRequest");
  }
  reflection::ServerReflectionResponse answer;
  answer.set_valid_host(asked.host());
  const pb::DescriptorPool& pool = *pb::DescriptorPool::generated_pool();
  // Linked before the pool is asked.
  const auto services = Services();
  switch (asked.message_request_case()) {
    case Asked::kFileByFilename: AnswerFile(pool.FindFileByName(asked.file_by_filename()), answer); break;
    case Asked::kFileContainingSymbol:
      AnswerFile(pool.FindFileContainingSymbol(asked.file_containing_symbol()), answer);
      break;
    case Asked::kFileContainingExtension: AnswerFile(FileOfExtension(asked.file_containing_extension()), answer); break;
    case Asked::kAllExtensionNumbersOfType:
      AnswerExtensionNumbers(asked.all_extension_numbers_of_type(), answer);
      break;
    case Asked::kListServices:
      for (const pb::ServiceDescriptor* service : services) {
        answer.mutable_list_services_response()->add_service()->set_name(service->full_name());
      }
      break;
    case Asked::MESSAGE_REQUEST_NOT_SET: Fail(StatusCode::kInvalidArgument, "nothing is asked for", answer); break;
  }
  *answer.mutable_original_request() = std::move(asked);
  answer.AppendToString(&out);
  return std::nullopt;
}

}  // namespace penstock::grpc
