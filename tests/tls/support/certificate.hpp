// Certificates that are made when they are needed, and so never expire in the sources.
#pragma once

#include <doctest/doctest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

namespace test {

// A folder for what is read from files, gone with its owner.
class Folder {
 public:
  Folder() { REQUIRE(mkdtemp(path_.data()) != nullptr); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ + '/' + name; }

 private:
  std::string path_ = "/tmp/timtow-tls-XXXXXX";
};

class Certificate {
 public:
  struct Options {
    std::string names = "DNS:localhost,IP:127.0.0.1,IP:::1";  // as OpenSSL writes them
    std::string subject = "localhost";                        // its common name
    long begins = -3600;                                      // seconds from now
    long ends = 3600;
    bool is_issuer = false;
    const char* algorithm = "EC";  // or ED25519, whose signatures are all of one size
  };

  // Signed by the issuer, or by itself.
  explicit Certificate(Options options, const Certificate* issuer = nullptr)
      : key_(EVP_PKEY_Q_keygen(nullptr, nullptr, options.algorithm, "P-256"), EVP_PKEY_free),
        x509_(X509_new(), X509_free) {
    static long serial = 1;
    X509* const x509 = x509_.get();
    X509_set_version(x509, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(x509), options.begins);
    X509_gmtime_adj(X509_getm_notAfter(x509), options.ends);
    X509_set_pubkey(x509, key_.get());
    const auto* const name = reinterpret_cast<const unsigned char*>(options.subject.c_str());
    X509_NAME_add_entry_by_NID(X509_get_subject_name(x509), NID_commonName, MBSTRING_UTF8, name, -1,
                               -1, 0);
    const Certificate& signer = issuer != nullptr ? *issuer : *this;
    X509_set_issuer_name(x509, X509_get_subject_name(signer.x509_.get()));
    if (!options.names.empty()) extend(NID_subject_alt_name, options.names);
    extend(NID_basic_constraints, options.is_issuer ? "critical,CA:TRUE" : "CA:FALSE");
    const bool hashes_itself = EVP_PKEY_get_id(signer.key_.get()) == EVP_PKEY_ED25519;
    REQUIRE(X509_sign(x509, signer.key_.get(), hashes_itself ? nullptr : EVP_sha256()) > 0);
  }

  // In PEM: this one, and the key; a file with both.
  std::string write(const std::string& file, const std::string& password = {}) const {
    std::FILE* const to = std::fopen(file.c_str(), "we");
    REQUIRE(to != nullptr);
    PEM_write_X509(to, x509_.get());
    PEM_write_PrivateKey(to, key_.get(), password.empty() ? nullptr : EVP_aes_128_cbc(), nullptr, 0,
                         nullptr, password.empty() ? nullptr : const_cast<char*>(password.data()));
    std::fclose(to);
    return file;
  }

  void use_in(SSL_CTX* context) const {
    REQUIRE(SSL_CTX_use_certificate(context, x509_.get()) == 1);
    REQUIRE(SSL_CTX_use_PrivateKey(context, key_.get()) == 1);
  }
  X509* x509() const { return x509_.get(); }

 private:
  void extend(int nid, const std::string& value) {
    X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str());
    REQUIRE(extension != nullptr);
    X509_add_ext(x509_.get(), extension, -1);
    X509_EXTENSION_free(extension);
  }

  std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key_;
  std::unique_ptr<X509, void (*)(X509*)> x509_;
};

}  // namespace test
