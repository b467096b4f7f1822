// See pki.h.
#include "lab/net/pki.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>
#include <system_error>
#include <utility>

#include "lab/net/x509.h"
#include "posix/os_error.h"
#include "posix/system.h"

namespace holdfast::lab::net {
namespace {

constexpr std::size_t kFileMost = std::size_t{64} * 1024;
constexpr unsigned kPublicFile = 0644;
constexpr unsigned kSecretFile = 0600;

constexpr std::int64_t kMinute = 60'000;
constexpr std::int64_t kDay = 24 * 60 * kMinute;
constexpr std::int64_t kServerLife = 365 * kDay;
constexpr std::int64_t kServerRenewal = 30 * kDay;
/// Certificates begin a little early, for devices whose clock is a little late.
constexpr std::int64_t kEarly = 2 * kMinute;
/// 2049-12-31T23:59:59Z, as AWS IoT's own.
constexpr WallTime kDeviceEnd{2'524'607'999'000};

constexpr const char* kCaName = "Holdfast lab CA";
constexpr int kLeastRsaBits = 2048;

// In the order of BadServer; the names are those of TLS faults.
constexpr std::array<const char*, 4> kBadNames = {"expired", "wrong-name", "unknown-ca",
                                                  "oversized-chain"};

std::vector<std::string> with_localhost(std::vector<std::string> names) {
  std::vector<std::string> out{"localhost", "127.0.0.1", "::1"};
  for (std::string& name : names) {
    if (std::find(out.begin(), out.end(), name) == out.end()) out.push_back(std::move(name));
  }
  return out;
}

/// What makes a chain large in practice: one certificate for very many hosts.
std::vector<std::string> with_many(std::vector<std::string> names) {
  constexpr int kMany = 100;
  for (int i = 0; i < kMany; ++i) {
    names.push_back("host-" + std::to_string(i) + ".of-a-long-list.endpoint.example.com");
  }
  return names;
}

Status check_key(EVP_PKEY& key) {
  const auto weak = [](const std::string& what) {
    return Error{Errc::invalid_argument, "certificate signing request: " + what};
  };
  const int kind = ::EVP_PKEY_get_base_id(&key);
  if (kind == EVP_PKEY_RSA) {
    const int bits = ::EVP_PKEY_get_bits(&key);
    if (bits >= kLeastRsaBits) return {};
    return weak("its RSA key has " + std::to_string(bits) + " bits, at least " +
                std::to_string(kLeastRsaBits) + " are needed");
  }
  if (kind != EVP_PKEY_EC) return weak("its key is neither RSA nor ECC");
  std::array<char, 64> text{};
  std::size_t size = 0;
  if (::EVP_PKEY_get_group_name(&key, text.data(), text.size(), &size) != 1) {
    return weak("its ECC key has an unnamed curve");
  }
  const std::string curve(text.data(), size);
  if (curve == "prime256v1" || curve == "secp384r1" || curve == "secp521r1") return {};
  return weak("its curve is " + curve + ", must be NIST P-256, P-384 or P-521");
}

/// A device's, valid as long as AWS's.
Result<std::string> make_device(WallTime now, const X509_NAME* subject, EVP_PKEY& key, X509& ca,
                                EVP_PKEY& ca_key, env::Random& random) {
  CertificatePlan plan;
  plan.subject = subject;
  plan.key = &key;
  plan.not_before = {now.ms - kEarly};
  plan.not_after = kDeviceEnd;
  const auto made = make_certificate(plan, &ca, ca_key, random);
  if (!made) return made.error();
  return pem_of(**made);
}

Result<CertificatePtr> make_ca(WallTime now, const std::string& name, EVP_PKEY& key,
                               env::Random& random) {
  const auto subject = make_name(name);
  if (!subject) return subject.error();
  CertificatePlan plan;
  plan.subject = subject->get();
  plan.key = &key;
  plan.not_before = {now.ms - kDay};
  plan.not_after = kDeviceEnd;
  plan.is_ca = true;
  return make_certificate(plan, nullptr, key, random);
}

Status write(const std::filesystem::path& path, const Result<std::string>& pem, unsigned mode) {
  if (!pem) return pem.error();
  return posix::replace_file(path, *pem, mode);
}

/// Keeps others out while files are looked at and made.
class DirectoryLock {
 public:
  static Result<std::unique_ptr<DirectoryLock>> take(const std::filesystem::path& directory) {
    const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return posix::make_os_error(errno, directory.string());
    std::unique_ptr<DirectoryLock> lock(new DirectoryLock(fd));
    while (::flock(fd, LOCK_EX) != 0) {
      if (errno != EINTR) return posix::make_os_error(errno, directory.string());
    }
    return lock;
  }
  ~DirectoryLock() { ::close(fd_); }
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

 private:
  explicit DirectoryLock(int fd) : fd_(fd) {}
  int fd_;
};

template <class Parse>
auto load(const std::filesystem::path& path, Parse parse) -> decltype(parse(std::string_view())) {
  const auto text = posix::read_file(path, kFileMost);
  if (!text) return text.error();
  auto parsed = parse(std::string_view(*text));
  if (!parsed) return std::move(parsed).error().with(path.string());
  return parsed;
}

}  // namespace

struct Pki::Keys {
  KeyPtr ca_key;
  CertificatePtr ca;
  KeyPtr server_key;

  [[nodiscard]] Result<CertificatePtr> make_server(WallTime from, WallTime to,
                                                   std::vector<std::string> names, X509& issuer,
                                                   EVP_PKEY& issuer_key,
                                                   env::Random& random) const {
    const auto subject = make_name(names.front());
    if (!subject) return subject.error();
    CertificatePlan plan;
    plan.subject = subject->get();
    plan.key = server_key.get();
    plan.not_before = from;
    plan.not_after = to;
    plan.is_server = true;
    plan.names = std::move(names);
    return make_certificate(plan, &issuer, issuer_key, random);
  }
};

Pki::Pki(std::filesystem::path directory, env::Random& random, std::vector<std::string> names)
    : directory_(std::move(directory)),
      random_(random),
      names_(with_localhost(std::move(names))),
      keys_(std::make_unique<Keys>()) {}

Pki::~Pki() = default;

std::filesystem::path Pki::ca_file() const { return directory_ / "ca.pem"; }

ServerFiles Pki::server_files() const {
  return {directory_ / "server.pem", directory_ / "server.key"};
}

Result<std::unique_ptr<Pki>> Pki::open(const std::filesystem::path& directory, WallTime now,
                                       env::Random& random, std::vector<std::string> names) {
  ::ERR_clear_error();
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return posix::make_os_error(error.value(), directory.string());
  const auto lock = DirectoryLock::take(directory);
  if (!lock) return lock.error();
  std::unique_ptr<Pki> pki(new Pki(directory, random, std::move(names)));
  if (const Status opened = pki->open_ca(now); !opened) return opened.error();
  if (const Status opened = pki->open_server(now); !opened) return opened.error();
  return pki;
}

// The key is written first: a CA certificate on disk always has its key.
Status Pki::open_ca(WallTime now) {
  const std::filesystem::path key_file = directory_ / "ca.key";
  std::error_code ignored;
  if (!std::filesystem::exists(ca_file(), ignored)) {
    auto key = make_key(KeyKind::p256);
    if (!key) return key.error();
    const auto made = make_ca(now, kCaName, **key, random_);
    if (!made) return made.error();
    Status kept = write(key_file, private_pem_of(**key), kSecretFile);
    if (!kept) return kept;
    Status shown = write(ca_file(), pem_of(**made), kPublicFile);
    if (!shown) return shown;
  }
  auto key = load(key_file, parse_private_key);
  if (!key) return key.error();
  auto certificate = load(ca_file(), parse_certificate);
  if (!certificate) return certificate.error();
  if (::X509_check_private_key(certificate->get(), key->get()) != 1) {
    ::ERR_clear_error();
    return Error{Errc::corrupt, key_file.string() + ": is not the key of ca.pem beside it"};
  }
  keys_->ca_key = std::move(key).value();
  keys_->ca = std::move(certificate).value();
  return {};
}

bool Pki::load_server(WallTime now) {
  const auto certificate = load(server_files().chain, parse_certificate);
  const auto facts = certificate ? facts_of(**certificate) : certificate.error();
  if (!facts || ::X509_verify(certificate->get(), keys_->ca_key.get()) != 1) {
    ::ERR_clear_error();
    return false;
  }
  std::set<std::string> missing(names_.begin(), names_.end());
  for (const auto& [name, value] : facts->fields) {
    if (!name.starts_with("Subject.AlternativeName.") || missing.erase(value) > 0) continue;
    names_.push_back(value);
  }
  const bool ours = ::X509_check_private_key(certificate->get(), keys_->server_key.get()) == 1;
  ::ERR_clear_error();
  return ours && missing.empty() && facts->not_before <= now &&
         facts->not_after.ms - now.ms >= kServerRenewal;
}

Status Pki::open_server(WallTime now) {
  const ServerFiles files = server_files();
  std::error_code ignored;
  if (!std::filesystem::exists(files.key, ignored)) {
    const auto made = make_key(KeyKind::rsa_2048);
    if (!made) return made.error();
    Status kept = write(files.key, private_pem_of(**made), kSecretFile);
    if (!kept) return kept;
  }
  auto key = load(files.key, parse_private_key);
  if (!key) return key.error();
  keys_->server_key = std::move(key).value();
  if (load_server(now)) return {};
  const auto made = keys_->make_server({now.ms - kDay}, {now.ms + kServerLife}, names_, *keys_->ca,
                                       *keys_->ca_key, random_);
  if (!made) return made.error();
  return write(files.chain, pem_of(**made), kPublicFile);
}

Result<ServerFiles> Pki::bad_server(WallTime now, BadServer kind) {
  ::ERR_clear_error();
  WallTime from{now.ms - kDay};
  WallTime to{now.ms + kServerLife};
  std::vector<std::string> names = names_;
  Result<KeyPtr> other_key = KeyPtr();
  Result<CertificatePtr> other_ca = CertificatePtr();
  X509* issuer = keys_->ca.get();
  EVP_PKEY* issuer_key = keys_->ca_key.get();
  switch (kind) {
    case BadServer::expired:
      from.ms = now.ms - kServerLife;
      to.ms = now.ms - kDay;
      break;
    case BadServer::wrong_name:
      names = {"another-host.example.com"};
      break;
    case BadServer::unknown_ca:
      other_key = make_key(KeyKind::p256);
      if (!other_key) return other_key.error();
      other_ca = make_ca(now, "Unknown CA", **other_key, random_);
      if (!other_ca) return other_ca.error();
      issuer = other_ca->get();
      issuer_key = other_key->get();
      break;
    case BadServer::oversized_chain:
      names = with_many(std::move(names));
      break;
  }
  const auto made = keys_->make_server(from, to, std::move(names), *issuer, *issuer_key, random_);
  if (!made) return made.error();
  std::error_code failure;
  std::filesystem::create_directories(fault_folder(), failure);
  if (failure) return posix::make_os_error(failure.value(), fault_folder().string());
  const std::string base = (fault_folder() / kBadNames.at(static_cast<std::size_t>(kind))).string();
  const ServerFiles files{base + ".crt", base + ".key"};
  Status kept = write(files.chain, pem_of(**made), kPublicFile);
  if (kept) kept = write(files.key, private_pem_of(*keys_->server_key), kSecretFile);
  if (!kept) return kept.error();
  return files;
}

Result<iot::CertificateFacts> Pki::read(std::string_view pem) const {
  ::ERR_clear_error();
  const auto certificate = parse_certificate(pem);
  if (!certificate) return certificate.error();
  return facts_of(**certificate);
}

bool Pki::is_signed_by(std::string_view pem, std::string_view ca_pem) const {
  const auto certificate = parse_certificate(pem);
  const auto ca = parse_certificate(ca_pem);
  const bool signed_by = certificate && ca &&
                         ::X509_check_issued(ca->get(), certificate->get()) == X509_V_OK &&
                         ::X509_verify(certificate->get(), ::X509_get0_pubkey(ca->get())) == 1;
  ::ERR_clear_error();
  return signed_by;
}

Result<iot::IssuedCertificate> Pki::issue_from_csr(WallTime now, std::string_view csr_pem) {
  ::ERR_clear_error();
  const auto request = parse_request(csr_pem);
  if (!request) return request.error();
  EVP_PKEY* key = ::X509_REQ_get0_pubkey(request->get());
  if (key == nullptr) {
    ::ERR_clear_error();
    return Error{Errc::invalid_argument, "certificate signing request: its key makes no sense"};
  }
  if (const Status strong = check_key(*key); !strong) return strong.error();
  if (::X509_REQ_verify(request->get(), key) != 1) {
    ::ERR_clear_error();
    return Error{Errc::invalid_argument,
                 "certificate signing request: it is not signed by its key"};
  }
  auto pem = make_device(now, ::X509_REQ_get_subject_name(request->get()), *key, *keys_->ca,
                         *keys_->ca_key, random_);
  if (!pem) return std::move(pem).error();
  return iot::IssuedCertificate{std::move(pem).value(), {}, {}};
}

Result<iot::IssuedCertificate> Pki::issue_with_new_key(WallTime now) {
  ::ERR_clear_error();
  const auto key = make_key(KeyKind::rsa_2048);
  if (!key) return key.error();
  const auto subject = make_name("AWS IoT Certificate");
  if (!subject) return subject.error();
  auto pem = make_device(now, subject->get(), **key, *keys_->ca, *keys_->ca_key, random_);
  auto public_pem = public_pem_of(**key);
  auto private_pem = private_pem_of(**key);
  for (const auto* part : {&pem, &public_pem, &private_pem}) {
    if (!*part) return part->error();
  }
  return iot::IssuedCertificate{std::move(pem).value(), std::move(public_pem).value(),
                                std::move(private_pem).value()};
}

}  // namespace holdfast::lab::net
