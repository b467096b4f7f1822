// Goal:   the page shows the device to who has the token, to nobody else, and a wrong [page] is
// told
//         in one line.
// Method: real devices without a broker; the page is read through its Unix socket. A browser reads
//         it in agent/view_test.py.
#include "runtime/page_service.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "holdfast/device.h"
#include "runtime/local_client.h"
#include "runtime/local_protocol.h"
#include "runtime/page_fixture.h"

namespace holdfast::runtime {
namespace {

class PageServiceTest : public PageFixture {
 protected:
  [[nodiscard]] Config config() const {
    Config config = offline_config();
    config.local_socket = folder_ / "api.sock";
    config.page.listen = "unix:" + socket().string();
    return config;
  }

  [[nodiscard]] std::string get(const std::string& path, const std::string& token = {}) const {
    const std::string header = token.empty() ? "" : "Authorization: Bearer " + token + "\r\n";
    return ask("GET " + path + " HTTP/1.1\r\n" + header + "\r\n");
  }
  [[nodiscard]] static std::string body_of(const std::string& answer) {
    return answer.substr(answer.find("\r\n\r\n") + 4);
  }
  [[nodiscard]] std::string made_token() const {
    std::ifstream file(folder_ / "outbox" / "page-token");
    std::string token;
    file >> token;
    return token;
  }
  [[nodiscard]] std::string error_of(const Config& config) const {
    const auto device = Device::open(config, [](const LogLine&) {});
    return device.ok() ? "opened" : device.error().message;
  }
};

TEST_F(PageServiceTest, ShowsTheStateToWhoHasTheToken) {
  auto device = Device::open(config(), [](const LogLine&) {});
  ASSERT_TRUE(device.ok()) << device.error().message;
  Message message;
  message.topic = "a/b";
  message.lane = "bulk";
  ASSERT_TRUE((*device)->publish(message));
  nlohmann::json state;
  do {
    const std::string answer = get("/state", made_token());
    ASSERT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"))
        << answer;
    state = nlohmann::json::parse(body_of(answer));
  } while (state["outbox_stat"]["outbox"]["lanes"].value("bulk", 0) != 1);
  EXPECT_EQ(state["status"]["status"]["client_id"], "page-test");
  EXPECT_EQ(state["about"]["endpoint"], "127.0.0.1:1");
  EXPECT_EQ(state["about"]["late"], false);
  EXPECT_EQ(state["history"]["history"][0]["event"], "started");
  EXPECT_TRUE(state["logs"]["lines"].is_array());
  EXPECT_TRUE(state["ping"]["progress"].contains("storage"));
  (*device)->stop(Milliseconds(5000));
  EXPECT_FALSE(std::filesystem::exists(socket()));
}

TEST_F(PageServiceTest, ShowsNothingToWhoHasNot) {
  std::mutex mutex;
  std::vector<std::string> lines;
  auto device = Device::open(config(), [&](const LogLine& line) {
    const std::lock_guard lock(mutex);
    lines.push_back(line.text);
  });
  ASSERT_TRUE(device.ok()) << device.error().message;
  const std::string token = made_token();
  for (const std::string& wrong :
       {std::string(), std::string("x"), token.substr(1), token + "0", std::string(32, '0')}) {
    const std::string answer = get("/state", wrong);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 401 Unauthorized\r\n")) << answer;
    EXPECT_EQ(answer.find("page-test"), std::string::npos);
    EXPECT_EQ(answer.find(token), std::string::npos);
  }
  const std::lock_guard lock(mutex);
  std::size_t told = 0;
  for (const std::string& line : lines) {
    if (line == "page: a request with a wrong token was refused") ++told;
    EXPECT_EQ(line.find(token), std::string::npos) << line;
  }
  EXPECT_EQ(told, 4U) << "without a token somebody has only opened the page";
}

TEST_F(PageServiceTest, ThePageItselfHasNoSecretAndLoadsNothingFromElsewhere) {
  auto device = Device::open(config(), [](const LogLine&) {});
  ASSERT_TRUE(device.ok()) << device.error().message;
  for (const char* path : {"/", "/page.css", "/page.js"}) {
    const std::string answer = get(path);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << path << answer;
    EXPECT_NE(answer.find("\r\nContent-Security-Policy: default-src 'none'; "), std::string::npos);
    EXPECT_EQ(answer.find(made_token()), std::string::npos);
    // The namespace of SVG is a name, not an address.
    const std::size_t address = body_of(answer).find("http", body_of(answer).find("2000/svg") + 1);
    EXPECT_EQ(address, std::string::npos) << path;
  }
  EXPECT_TRUE(get("/pagex").starts_with("HTTP/1.1 404 "));
  EXPECT_TRUE(get("/state/").starts_with("HTTP/1.1 404 "));
}

TEST_F(PageServiceTest, TheTokenIsMadeOnceForTheOwnerOnlyAndToldByTheApi) {
  std::string token;
  for (int run = 0; run < 2; ++run) {
    auto device = Device::open(config(), [](const LogLine&) {});
    ASSERT_TRUE(device.ok()) << device.error().message;
    auto client = LocalClient::connect(config().local_socket);
    ASSERT_TRUE(client.ok());
    client->send(op_line(1, "page"));
    const auto line = client->receive(Milliseconds(20000));
    ASSERT_TRUE(line.ok());
    EXPECT_EQ(*line, R"({"id":1,"ok":true,"page":"/#)" + made_token() + "\"}");
    if (run == 0) token = made_token();
  }
  EXPECT_EQ(token.size(), 32U);
  EXPECT_EQ(made_token(), token);
  struct stat about {};
  ASSERT_EQ(::stat((folder_ / "outbox" / "page-token").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 07777U, 0600U);
}

TEST_F(PageServiceTest, AGivenTokenIsUsed) {
  std::ofstream(folder_ / "token") << "  abcdefgh-ABCDEFGH~0\n";
  Config given = config();
  given.page.token_file = folder_ / "token";
  auto device = Device::open(given, [](const LogLine&) {});
  ASSERT_TRUE(device.ok()) << device.error().message;
  EXPECT_TRUE(get("/state", "abcdefgh-ABCDEFGH~0").starts_with("HTTP/1.1 200 "));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "outbox" / "page-token"));
}

TEST_F(PageServiceTest, AWrongTokenFileIsTold) {
  Config wrong = config();
  wrong.page.token_file = folder_ / "token";
  EXPECT_TRUE(error_of(wrong).starts_with("page.token_file: " + (folder_ / "token").string()))
      << error_of(wrong);
  for (const std::string& content : {std::string(), std::string("short"), std::string(129, 'a'),
                                     std::string("0123456789abcdef 0"), std::string(20, '\0')}) {
    std::ofstream(folder_ / "token") << content;
    EXPECT_EQ(error_of(wrong), "page.token_file: " + (folder_ / "token").string() +
                                   ": holds no token: 16 to 128 letters, digits and -._~, such as "
                                   "openssl rand -hex 16 makes");
  }
}

TEST_F(PageServiceTest, AWrongPlaceIsTold) {
  Config wrong = config();
  wrong.page.listen = "0.0.0.0:8480";
  EXPECT_EQ(error_of(wrong),
            "page.listen: is \"0.0.0.0:8480\", which other machines reach, and the page has no "
            "encryption; give a loopback address, and reach it through ssh -L or a proxy with TLS");
  wrong.page.listen = "unix:page.sock";
  EXPECT_NE(error_of(wrong).find("has no absolute path"), std::string::npos) << error_of(wrong);
  wrong = config();
  wrong.local_socket.clear();
  EXPECT_EQ(error_of(wrong),
            "page.listen: needs local.socket, through which the page sees the state");
}

TEST_F(PageServiceTest, ChangingItNeedsARestart) {
  auto device = Device::open(config(), [](const LogLine&) {});
  ASSERT_TRUE(device.ok()) << device.error().message;
  Config other = config();
  other.page.listen.clear();
  const Status status = (*device)->reload(other);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().message, "page cannot change while running; restart");
}

TEST_F(PageServiceTest, WithoutAPageTheApiSaysSo) {
  Config none = config();
  none.page.listen.clear();
  auto device = Device::open(none, [](const LogLine&) {});
  ASSERT_TRUE(device.ok()) << device.error().message;
  auto client = LocalClient::connect(none.local_socket);
  ASSERT_TRUE(client.ok());
  client->send(op_line(1, "page"));
  const auto line = client->receive(Milliseconds(20000));
  ASSERT_TRUE(line.ok());
  EXPECT_NE(line->find("this agent serves no page; set page.listen and restart it"),
            std::string::npos);
}

}  // namespace
}  // namespace holdfast::runtime
