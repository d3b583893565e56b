// The scripted S3 server as a program: prints its port, and serves until its standard input ends.
//
//   scripted_s3 [SETTINGS]      SETTINGS: a JSON object of "region", "account", "discard" and "page" (s3::Settings),
//   and
//                               "tls", a file to be written: the certificate that clients are to trust
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "support/scripted_s3.hpp"
#include "support/test_certificate.hpp"

int main(int argc, char** argv) {
  try {
    const nlohmann::json given = argc > 1 ? nlohmann::json::parse(argv[1]) : nlohmann::json::object();
    bale::testing::s3::Settings settings;
    settings.region = given.value("region", settings.region);
    settings.account = given.value("account", settings.account);
    settings.discard = given.value("discard", settings.discard);
    settings.page = given.value("page", settings.page);
    std::optional<bale::testing::TestCertificate> certificate;
    if (given.contains("tls")) {
      certificate.emplace("IP:127.0.0.1");
      std::ofstream(given.at("tls").get<std::string>()) << certificate->pem();
    }
    const bale::testing::ScriptedS3 server(settings, certificate ? certificate->context() : nullptr);
    std::printf("%d\n", server.port());
    std::fflush(stdout);
    char ignored[256];
    while (::read(STDIN_FILENO, ignored, sizeof ignored) > 0) {
    }
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "scripted_s3: %s\n", error.what());
    return 1;
  }
}
