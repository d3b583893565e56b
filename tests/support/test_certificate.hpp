// A TLS certificate of a test's own, made on the spot.
#pragma once

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <memory>
#include <stdexcept>
#include <string>

namespace bale::testing {

template <auto Free>
struct FreeWith {
  template <typename T>
  void operator()(T* object) const noexcept {
    Free(object);
  }
};

/// A self-signed certificate for `subject` ("DNS:localhost", "IP:127.0.0.1"), good for a day or as said, and a server
/// side that shows it. Its own PEM is the bundle that a client has to trust.
class TestCertificate {
 public:
  explicit TestCertificate(const std::string& subject, long from_seconds = -60, long to_seconds = 24 * 3600)
      : key_(EVP_EC_gen("P-256")), certificate_(X509_new()) {
    X509* const x509 = certificate_.get();
    X509_set_version(x509, 2);  // counted from 0: version 3
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), from_seconds);
    X509_gmtime_adj(X509_getm_notAfter(x509), to_seconds);
    X509_set_pubkey(x509, key_.get());
    X509_NAME* const name = X509_get_subject_name(x509);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
    X509_set_issuer_name(x509, name);
    add_extension(NID_subject_alt_name, subject);
    add_extension(NID_basic_constraints, "critical,CA:TRUE");
    context_.reset(SSL_CTX_new(TLS_server_method()));
    if (X509_sign(x509, key_.get(), EVP_sha256()) == 0 || SSL_CTX_use_certificate(context_.get(), x509) != 1 ||
        SSL_CTX_use_PrivateKey(context_.get(), key_.get()) != 1)
      throw std::runtime_error("cannot make a certificate");
  }

  /// For servers; valid as long as this object.
  SSL_CTX* context() const noexcept { return context_.get(); }
  std::string pem() const {
    const std::unique_ptr<BIO, FreeWith<BIO_free>> out(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(out.get(), certificate_.get());
    char* text = nullptr;
    const long size = BIO_get_mem_data(out.get(), &text);
    return {text, static_cast<std::size_t>(size)};
  }

 private:
  void add_extension(int id, const std::string& value) {
    const std::unique_ptr<X509_EXTENSION, FreeWith<X509_EXTENSION_free>> extension(
        X509V3_EXT_conf_nid(nullptr, nullptr, id, value.c_str()));
    if (extension == nullptr) throw std::runtime_error("not an extension: " + value);
    X509_add_ext(certificate_.get(), extension.get(), -1);
  }

  std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>> key_;
  std::unique_ptr<X509, FreeWith<X509_free>> certificate_;
  std::unique_ptr<SSL_CTX, FreeWith<SSL_CTX_free>> context_;
};

}  // namespace bale::testing
