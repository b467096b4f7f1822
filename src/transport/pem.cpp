#include "transport/pem.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <string>

namespace holdfast::transport {

Error unfit(Errc code, const char* what, const std::filesystem::path& file,
            std::string_view problem) {
  return Error{code, std::string(what) + " " + file.string() + ": " + std::string(problem), 0};
}

BioPtr view_of(const Secret& text) {
  return BioPtr(::BIO_new_mem_buf(text.text().data(), static_cast<int>(text.text().size())));
}

X509Ptr next_certificate(const BioPtr& from) {
  return X509Ptr(::PEM_read_bio_X509_AUX(from.get(), nullptr, nullptr, nullptr));
}

// PEM_read_… ends a file with "no start line"; any other error means that a block is damaged.
bool ended_well() {
  const unsigned long error = ::ERR_peek_last_error();
  return error == 0 ||
         (ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE);
}

}  // namespace holdfast::transport
