// holdfastd under PM2: pm2 start holdfast.config.js. See holdfastd(8), OTHER SUPERVISORS.
module.exports = {
  apps: [{
    name: "holdfastd",
    script: `${__dirname}/holdfastd.sh`,
    interpreter: "none",
    args: ["/etc/holdfast/holdfast.toml"],
    wait_ready: true,                 // holdfastd.sh says when it accepts messages
    listen_timeout: 180000,           // a disk that cannot be read is tried again for 30 s
    kill_timeout: 6000,               // timing.stop_deadline and a second
    autorestart: true,
    exp_backoff_restart_delay: 1000,  // never gives up: nobody is there to start it again
    env: { HOLDFAST_SOCKET: "/run/holdfast/holdfast.sock" },
  }],
};
